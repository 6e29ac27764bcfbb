"""What does an item's text tell of a new item, beyond its columns? The same learner with one-hot content, text, both.

Item-cold, few reactions: RMSE on shops of ratings, HR@10 among the new items on amazon-phones. Knows learners and
records; an encoder is given.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix, hstack

from fsl.content import content_words
from fsl.data import Shop
from fsl.errors import InputError
from fsl.evaluation import RULERS, evaluate, whole_numbers
from fsl.item_text import Encodes, item_texts, text_features, with_item_text
from fsl.launches.histories import DAY, ordered_within_days
from fsl.launches.study import before, judge_launches, new_items_of
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.learners.new_item_baselines import FoldInNewItems
from fsl.learners.new_items import ItemPosterior
from fsl.learners.select import Selected
from fsl.tasks import Tasks, item_tasks, split_tasks
from fsl.texts.item_results import BOTH, ONE_HOT, TEXT, WITHOUT, item_text_table

N_FOLDS = 5
MOST_CLICKS = 5  # the first users of a new item that are never asked about
SHRINKAGES = (10.0, 50.0, 250.0)


def item_text_study(
    shop: Shop, encoder: Encodes, n_shots: Sequence[int] = (0, 3), seed: int = 0, **options
) -> pd.DataFrame:
    """EB+ (ratings) or the folded-in vectors (clicks) with each kind of content, and the paired differences.

    Returns `item_text_table` of `item_text_records`. options: those of `rating_records` or `click_records`.
    """
    return item_text_table(shop, item_text_records(shop, encoder, n_shots, seed=seed, **options))


def item_text_records(
    shop: Shop, encoder: Encodes, n_shots: Sequence[int] = (0, 3), seed: int = 0, **options
) -> pd.DataFrame:
    """Records of one learner with each kind of content: `rating_records`, or `click_records` without a target."""
    whole_numbers("n_shots", n_shots)
    if shop.items is None:
        raise InputError(f"{shop.name}: item texts need a table of items, and there is none.")
    make = click_records if shop.target is None else rating_records
    return make(shop, encoder, n_shots, seed=seed, **options)


def rating_records(
    shop: Shop,
    encoder: Encodes,
    n_shots: Sequence[int] = (0, 3),
    n_folds: int = 5,
    n_draws: int = 3,
    n_components: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """Item-cold, every item tested in one of the folds: records of `evaluate`, learners named by their content.

    In each fold the components of the text and the learner are fitted on other items, and how far content is trusted
    (SHRINKAGES) is chosen on validation items at the same numbers of shots.
    """
    if not 1 <= n_folds <= N_FOLDS or n_draws < 1 or n_components < 1:
        asked = f"n_folds {n_folds}, n_draws {n_draws}, n_components {n_components}"
        raise InputError(f"{asked}: expected 1 to {N_FOLDS} folds, and 1 or more of the others.")
    tasks, frames = item_tasks(shop), []
    expected = None if shop.truth is None else shop.truth.expected
    for fold in range(n_folds):
        split = split_tasks(tasks, torch.Generator().manual_seed(seed), fold=fold)
        fitted_on = np.isin(np.arange(len(tasks.subject_ids)), split.train.subjects.numpy())
        for content in (WITHOUT, ONE_HOT, TEXT, BOTH):
            kind = ONE_HOT if content == WITHOUT else content
            train, validation, test = (
                with_item_text(part, shop, encoder, fitted_on, kind, n_components) for part in split
            )
            learner = _learner(content != WITHOUT, n_shots, seed).fit(train, validation)
            judged = evaluate(
                {content: learner}, test, n_shots, seeds=range(n_draws), partition="item-cold",
                metrics=("mse",), expected=expected,
            )  # fmt: skip
            is_ruler = judged["learner"].isin(RULERS)
            frames.append(judged if content == WITHOUT else judged[~is_ruler])
    return pd.concat(frames, ignore_index=True)


def _learner(use_content: bool, n_shots: Sequence[int], seed: int) -> Selected:
    """EB+ as in the verdict; without content it knows the users' table alone."""
    made = [
        EmpiricalBayes(4, subject_shrinkage=s if use_content else 1e9, n_steps=10, seed=seed)
        for s in (SHRINKAGES if use_content else SHRINKAGES[:1])
    ]
    return Selected(made, tuple(n_shots), seed=seed, refit=True)


def click_records(
    shop: Shop,
    encoder: Encodes,
    n_shots: Sequence[int] = (0, 3),
    start: str = "2014-01-01",
    n_components: int = 64,
    learned: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """New items from `start` on, the launch protocol: which of them does a user take next? HR@10 among those out.

    The learner is `FoldInNewItems`, settings chosen on the months before `start`; learned: `ItemPosterior` instead.
    The text's components are those of the items seen before `start`.
    """
    if max(n_shots) > MOST_CLICKS or n_components < 1:
        asked = f"n_shots {list(n_shots)}, n_components {n_components}"
        raise InputError(f"{asked}: expected at most {MOST_CLICKS} shots and 1 component or more.")
    tasks = _in_time(shop, seed)
    past = before(tasks, _moment(start))
    contents = contents_of(shop, tasks.subject_ids, encoder, past.sizes.numpy() > 0, n_components)
    make = (lambda c: ItemPosterior(c, seed=seed)) if learned else FoldInNewItems
    learners = {name: make(c).fit(past).follow(tasks) for name, c in contents.items()}
    found = new_items_of(tasks, start)
    return judge_launches(learners, tasks, found, n_shots, metrics=("hr@10",), seed=seed)


def _moment(day: str) -> float:
    """An ISO date in Unix seconds. Raises InputError for what is none."""
    try:
        return pd.Timestamp(day).timestamp()
    except ValueError:
        raise InputError(f"{day!r} is no date, expected one such as 2014-01-01.") from None


def _in_time(shop: Shop, seed: int) -> Tasks:
    """Item-tasks of clicks with their times; where these are days, an order within each day is drawn from `seed`."""
    tasks = item_tasks(shop, implicit=True)
    if tasks.times is None:
        said = "a new item is told by its time, and interactions has no column timestamp"
        raise InputError(f"{shop.name}: {said}.")
    only_days = not bool((tasks.times % DAY != 0).any())
    return ordered_within_days(tasks, seed) if only_days else tasks


def contents_of(
    shop: Shop, ids: pd.Index, encoder: Encodes, fitted_on: np.ndarray, n_components: int
) -> dict[str, csr_matrix]:
    """Content name -> CSR [n_items, n_features], text weighing as much as the words do."""
    words = content_words(shop, ids).astype(float)
    text = text_features(encoder.encode(item_texts(shop, ids)), fitted_on, n_components)
    weight = words[fitted_on].multiply(words[fitted_on]).sum(1).mean() or 1.0  # no words: as it is
    text = csr_matrix(text * weight**0.5)
    nothing = csr_matrix((len(ids), 1))
    both = csr_matrix(hstack([words, text]))
    return {WITHOUT: nothing, ONE_HOT: words, TEXT: text, BOTH: both}
