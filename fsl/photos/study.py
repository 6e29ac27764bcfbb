"""One-shot retrieval of phones: an icon is shown, which of all photos is of the same phone? Frozen, and adapted.

Five folds of phones: what is learned or averaged is learned on the other folds, versions of one phone together. The
settings of `ways` were chosen among a handful on validation folds, the five taking turns: no phone was test and
validation at once, but each was validation in some turn; between settings lay .01. Knows vectors; opens no file.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.compare import against, summarise
from fsl.evaluation import COLUMNS
from fsl.photos.phones import PhonePhotos
from fsl.photos.views import front
from fsl.photos.ways import Fit, Pairs, centred, episodic, frozen, whitened

PIXELS, WHOLE, FRONT = "grey pixels, front", "frozen, whole picture", "frozen, front"
LEARNED = {"centred": centred, "whitened pairs": whitened, "metric learner": episodic}


def photo_study(
    phones: PhonePhotos, encoder, n_folds: int = 5, seed: int = 0, show_progress: bool = False
) -> pd.DataFrame:
    """Records of metric top-1 and top-5, one per phone and way, rulers among them, for `fsl.compare`.

    The gallery is every phone's photo, those that were trained on among them. encoder: an `image_encoder`.
    """
    fronts = [[front(p) for p in side] for side in (phones.icons, phones.photos)]
    grey = Pairs(*(torch.stack([_grey(p) for p in side]) for side in fronts))
    whole = Pairs(
        *(_vectors(encoder, side, show_progress) for side in (phones.icons, phones.photos))
    )
    cut = Pairs(*(_vectors(encoder, side, show_progress) for side in fronts))
    ways = {PIXELS: (grey, frozen), WHOLE: (whole, frozen), FRONT: (cut, frozen)}
    for name, pairs in (("whole", whole), ("front", cut)):
        ways |= {f"{name}, {way}": (pairs, fit) for way, fit in LEARNED.items()}
    return retrieval_records(ways, phones.groups, n_folds, seed)


def retrieval_records(
    ways: Mapping[str, tuple[Pairs, Fit]], groups: list[str], n_folds: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Each phone asked once, by maps fitted on the phones of other folds; groups are never parted.

    Returns records: learner (a way), n_shots 1, task the phone's number, group, metric top-1 or top-5 (1 or 0).
    """
    fold = folds_of(groups, n_folds, seed)
    ranks = {way: torch.zeros(len(fold), dtype=torch.long) for way in ways}
    for way, (pairs, fit) in ways.items():
        for number in range(n_folds):
            asked = (fold == number).nonzero()[:, 0]
            of_icon, of_photo = fit(pairs.rows((fold != number).nonzero()[:, 0]))
            scores = of_icon(pairs.icons[asked]) @ of_photo(pairs.photos).T
            ranks[way][asked] = rank_of(scores, asked)
    hits = {
        metric: {way: (rank < k).double() for way, rank in ranks.items()} | _rulers(len(fold), k)
        for metric, k in (("top-1", 1), ("top-5", 5))
    }
    rows = [
        (way, "new phones", 1, seed, groups[task], task, metric, value)
        for metric, found in hits.items()
        for way, values in found.items()
        for task, value in enumerate(values.tolist())
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rulers(n: int, k: int) -> dict[str, Tensor]:
    """random: k of n; constant: always the same k photos; oracle: 1."""
    constant = (torch.arange(n) < k).double()
    return {
        "random": torch.full((n,), k / n).double(),
        "constant": constant,
        "oracle": torch.ones(n),
    }


def photo_table(records: pd.DataFrame, reference: str = FRONT) -> pd.DataFrame:
    """Columns way, top-1, top-5 ("value [low, high]", 95 %), and top-1 less that of `reference`, paired."""
    ways = [w for w in records["learner"].unique() if w not in ("random", "constant", "oracle")]
    cells = {
        metric: summarise(records, metric).set_index("learner").apply(
            lambda r: f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}]", axis=1
        )
        for metric in ("top-1", "top-5")
    }  # fmt: skip
    table = pd.DataFrame(cells).loc[[*ways, "random", "constant", "oracle"]]
    gaps = against(records, reference, [w for w in ways if w != reference], "top-1", 1)
    said = {g.learner: f"{g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for g in gaps.itertuples()}
    table[f"top-1 minus {reference}"] = [said.get(way, "") for way in table.index]
    table["p (Holm)"] = table.index.map(gaps.set_index("learner")["p_holm"])
    return table.rename_axis("way").reset_index()


def folds_of(groups: list[str], n_folds: int, seed: int) -> Tensor:
    """The fold of each phone, int64 [n]: whole groups at random, in folds of about as many groups each."""
    group, known = pd.factorize(pd.Series(groups))
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))
    of_group = torch.empty_like(order)
    of_group[order] = torch.arange(len(known)) % n_folds
    return of_group[torch.from_numpy(group)]


def rank_of(scores: Tensor, answers: Tensor) -> Tensor:
    """How many photos score as high as the right one or higher, itself left out: int64 [n], 0 is the best.

    scores: [n, n_photos]. A tie counts against.
    """
    own = scores.gather(1, answers[:, None])
    return (scores >= own).sum(1) - 1


def _vectors(encoder, pictures: list, show_progress: bool) -> Tensor:
    return torch.from_numpy(encoder.encode(pictures, show_progress=show_progress))


def _grey(picture) -> Tensor:
    """The picture at 16 x 24 grey pixels, less its mean, as one row."""
    grey = np.asarray(picture.convert("L").resize((16, 24)), np.float32).ravel()
    return torch.from_numpy(grey - grey.mean())
