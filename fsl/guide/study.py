"""Does choosing the question help? Every person is new in one fold; answers are that person's real ratings.

Protocols: "left over": all rated items may be asked about, candidates are those not asked about (so the candidates hang
on what was asked); "halves": a random half may be asked about, the other half are the candidates, the same for all.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.cold_start.phones import without_copies
from fsl.compare import Interval, paired_difference
from fsl.data import Shop
from fsl.environment.draws import uniforms
from fsl.errors import InputError
from fsl.guide.replay import CHOOSERS, PAIR, RATE, Visit, asked_by
from fsl.guide.shelf import stranger
from fsl.learners.inner_folds import folds_by_group
from fsl.tasks import Tasks, user_tasks

LEFT_OVER, HALVES = "left over", "halves"
PARTS = ((LEFT_OVER, RATE), (LEFT_OVER, PAIR), (HALVES, RATE), (HALVES, PAIR))
_ITEMS, _HALF, _PERSON = 311, 312, 313  # what a random number is for


def guide_study(
    shop: Shop,
    n_questions: Sequence[int] = (0, 1, 2, 3, 5),
    n_folds: int = 5,
    max_people: int = 10_000,
    max_items: int = 40,
    n_draws: int = 3,
    parts: Sequence[tuple[str, str]] = PARTS,
    seed: int = 0,
) -> pd.DataFrame:
    """Records as `fsl.evaluate`'s: learner (how questions were chosen), partition (protocol and kind), n_shots (number
    of questions), seed (of the draw of halves, and of luck), task and group (the person), metric, value.

    People with fewer than 3 more rated items than questions only train; pairs are judged where three candidates are
    left. max_people: of the others so many, drawn from `seed`; max_items: of one person's items so many, drawn. Draws:
    `n_draws` wherever luck has a say, else one.
    Raises InputError where nobody rated enough.
    """
    tasks = without_copies(user_tasks(shop))
    least = max(2 * max(n_questions), max(n_questions) + 3)
    able = tasks.sizes >= least
    if int(able.sum()) < n_folds:
        raise InputError(
            f"{shop.name}: {int(able.sum())} people rated {least} items, {n_folds} are needed: ask less."
        )
    luck = uniforms(seed, _PERSON, tasks.subjects.numpy())
    luck[~able.numpy()] = 2
    judged = set(tasks.subjects[torch.from_numpy(luck.argsort())[:max_people]].tolist())
    frames = []
    for train, test in folds_by_group(tasks, n_folds, seed):
        belief = stranger(train, seed)
        counts = torch.bincount(train.objects, minlength=len(train.object_ids))
        for task in range(len(test)):
            if int(test.subjects[task]) in judged and int(test.sizes[task]) >= least:
                frames += _one_person(
                    test, task, belief, counts, n_questions, max_items, n_draws, parts, seed
                )
    return pd.DataFrame(frames)


def _one_person(
    test: Tasks,
    task: int,
    belief: Belief,
    counts: Tensor,
    n_questions,
    max_items,
    n_draws,
    parts,
    seed,
):
    rows = slice(int(test.offsets[task]), int(test.offsets[task + 1]))
    items, ratings, number = (
        test.objects[rows],
        test.targets[rows].double(),
        int(test.subjects[task]),
    )
    luck = torch.from_numpy(uniforms(seed, _ITEMS, number, np.arange(len(items))))
    some = luck.argsort()[:max_items].sort().values
    items, ratings, person = items[some], ratings[some], str(test.subject_ids[number])
    own = of_items(belief, items)
    for protocol, kind in parts:
        counts_asked = with_room(n_questions, len(items), protocol, kind)
        for name, chooser in CHOOSERS.items():
            for draw in range(n_draws if protocol == HALVES or name == "random" else 1):
                may_ask, candidates = pools(protocol, len(items), seed + draw, number)
                visit = Visit(own, ratings, counts[items], may_ask, candidates, number, seed + draw)
                told = {
                    "learner": name,
                    "partition": f"{protocol}, {kind}",
                    "seed": draw,
                    "task": person,
                    "group": person,
                }
                for n, values in asked_by(visit, chooser, counts_asked, kind).items():
                    yield from (
                        {**told, "n_shots": n, "metric": m, "value": v} for m, v in values.items()
                    )


def of_items(belief: Belief, items: Tensor) -> Belief:
    """The belief about those items alone."""
    return Belief(
        belief.base[:, items],
        belief.features[:, items],
        belief.mean,
        belief.covariance,
        belief.noise[:, items],
    )


def with_room(n_questions: Sequence[int], n_items: int, protocol: str, kind: str) -> list[int]:
    """The numbers of questions after which three candidates are left, whatever was asked: a pair may take two away."""
    taken = 0 if protocol == HALVES else 2 if kind == PAIR else 1
    return [k for k in n_questions if n_items - taken * k >= 3]


def pools(protocol: str, n: int, seed: int, number: int) -> tuple[Tensor, Tensor]:
    """What may be asked about and what may be chosen, bool [n] each."""
    if protocol == LEFT_OVER:
        return torch.ones(n, dtype=torch.bool), torch.ones(n, dtype=torch.bool)
    if protocol != HALVES:
        raise ValueError(f'protocol must be "{LEFT_OVER}" or "{HALVES}", got {protocol!r}')
    luck = torch.from_numpy(uniforms(seed, _HALF, number, np.arange(n)))
    may_ask = torch.zeros(n, dtype=torch.bool)
    may_ask[luck.argsort()[: n // 2]] = True
    return may_ask, ~may_ask


def gains(
    records: pd.DataFrame, metric: str, n_questions: Sequence[int], seed: int = 0
) -> pd.DataFrame:
    """Chosen questions minus the others', paired and clustered by person: rows (partition, rival), columns K."""
    rivals = [name for name in CHOOSERS if name != "chosen"]
    rows: dict[tuple[str, str], dict[str, Interval]] = {}
    for partition, part in records.groupby("partition", sort=False):
        for rival in rivals:
            rows[partition, rival] = {
                f"{k} asked": paired_difference(part, "chosen", rival, metric, k, seed)
                for k in asked_in(part, n_questions)
            }
    return pd.DataFrame(rows).T


def asked_in(records: pd.DataFrame, n_questions: Sequence[int]) -> list[int]:
    """Those of `n_questions`, 0 left out, after which anybody was judged."""
    return [k for k in n_questions if k and (records["n_shots"] == k).any()]


def does_it_help(
    hits: pd.DataFrame, regrets: pd.DataFrame, rivals: Sequence[str] = ("random", "popular")
) -> list[str]:
    """The answer in sentences, one per partition and rival, from the `gains` in hit@3 and in regret.

    After which numbers of questions does one of the two leave 0 out, and on which side? Not adjusted for their number:
    of twenty comparisons of nothing one would leave 0 out.
    """
    told = []
    for partition, rival in hits.index:
        if rival in rivals:
            pairs = zip(hits.loc[(partition, rival)], regrets.loc[(partition, rival)], strict=True)
            gaps = {
                k.split()[0]: pair
                for k, pair in zip(hits, pairs, strict=True)
                if isinstance(pair[0], Interval)
            }
            better = [k for k, (hit, regret) in gaps.items() if hit.low > 0 or regret.high < 0]
            worse = [k for k, (hit, regret) in gaps.items() if hit.high < 0 or regret.low > 0]
            found = _after("helps", better) + _after("harms", worse)
            said = " and ".join(found) or f"makes no sure difference after {_listed([*gaps])}"
            told.append(f"{partition}: choosing, against {rival} questions, {said}.")
    return told


def _after(verb: str, counts: Sequence[str]) -> list[str]:
    return [f"{verb} after {_listed(counts)}"] if counts else []


def _listed(counts: Sequence[str]) -> str:
    """ "1, 2 and 5"."""
    *most, last = counts
    return f"{', '.join(most)} and {last}" if most else last


def in_words(gap: Interval | float) -> str:
    """ "+0.41 [+0.30, +0.52] *": with a star where 0 is outside; "" where nobody was judged."""
    if not isinstance(gap, Interval):
        return ""
    return f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]" + " *" * (
        gap.low > 0 or gap.high < 0
    )
