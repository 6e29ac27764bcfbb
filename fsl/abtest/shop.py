"""Visitors of the simulated shop who could be shown either of two lists: the popular phones, or the guide's.

Both outcomes of everybody are made, as only an inventor can, so the true effect is known. Everything here is simulated.
Knows learners and the shop's truth; knows no statistics.
"""

import numpy as np
import pandas as pd
import torch

from fsl.data import Shop
from fsl.episodes import draw_shots, gather
from fsl.learners.empirical_bayes import EmpiricalBayes
from fsl.simulate import SCENE_NAMES, SCENES
from fsl.tasks import Tasks, user_tasks

ARMS = ("popular", "guide")
METRICS = ("stars", "bought", "spend_usd")
N_SHOWN = 3
KNOWN = 3  # ratings that the guide knows of a visitor
BUYS_AT = 5.0  # stars, before rounding, that the best of the shown phones must be worth


def visitors(shop: Shop, n_past: int = 600, n_days: int = 28, seed: int = 0) -> pd.DataFrame:
    """Everybody but the `n_past` users whom the guide learned from, one visit each, with both outcomes.

    Columns: user, day (from 1), scene, stars_before (mean of all ratings before the test), then for each of ARMS
    `stars_`: mean stars of the three phones shown, `bought_`: 1 or 0, `spend_usd_`. Needs a simulated shop.
    """
    rng, tasks = np.random.default_rng(seed), user_tasks(shop)
    order = torch.from_numpy(rng.permutation(len(tasks)))
    past, new = (tasks.subset(part.sort().values) for part in (order[:n_past], order[n_past:]))
    new = new.subset((new.sizes > KNOWN).nonzero()[:, 0])
    lists = shown(past, new, seed)
    table = pd.DataFrame({
        "user": np.asarray(new.subject_ids[new.subjects.numpy()]),
        "day": 1 + rng.integers(n_days, size=len(new)),
        "scene": np.array(SCENE_NAMES)[_scenes(shop, new, rng)],
        "stars_before": _means(new).numpy(),
    })  # fmt: skip
    return table.assign(**_outcomes(shop, table, new.subjects.numpy(), lists, rng))


def shown(past: Tasks, new: Tasks, seed: int = 0) -> dict[str, np.ndarray]:
    """Three phones for each visitor, [n, 3] places: the most often rated, and EB+'s best after KNOWN ratings.

    Neither list repeats what the visitor is known to have rated.
    """
    eb = EmpiricalBayes(seed=seed).fit(past)
    draw = draw_shots(new, KNOWN, 1, torch.Generator().manual_seed(seed), "temporal")
    support = gather(new, draw).support
    n_items = len(new.object_ids)
    asked = torch.stack(
        [
            new.subjects[:, None].expand(-1, n_items),
            torch.arange(n_items).expand(len(new), -1),
        ],
        dim=-1,
    )
    counts = torch.bincount(past.objects, minlength=n_items).float().expand(len(new), -1)
    scores = {"popular": counts, "guide": eb.predict(support, asked)}
    had = support.inputs[..., 1]
    return {
        arm: s.scatter(1, had, -torch.inf).topk(N_SHOWN, dim=1).indices.numpy()
        for arm, s in scores.items()
    }


def assigned(table: pd.DataFrame, rng: np.random.Generator, share: float = 0.5) -> pd.DataFrame:
    """The test's log: each visitor dealt into one arm, the other outcome unseen. Columns as a shop would have them."""
    treated = rng.random(len(table)) < share
    log = table[["user", "day", "scene"]].assign(variant=np.where(treated, ARMS[1], ARMS[0]))
    for metric in METRICS:
        log[metric] = np.where(treated, table[f"{metric}_guide"], table[f"{metric}_popular"])
    return log.assign(stars_before=table["stars_before"]).sort_values("day", kind="stable")


def _scenes(shop: Shop, new: Tasks, rng: np.random.Generator) -> np.ndarray:
    """The scene of one behaviour of each visitor's own, drawn at random: [n] places in SCENE_NAMES."""
    rows = new.rows[new.offsets[:-1] + torch.from_numpy(rng.integers(new.sizes.numpy()))]
    scenes = shop.interactions["scene"].to_numpy(str)[rows.numpy()]
    return np.array([SCENE_NAMES.index(scene) for scene in scenes])


def _means(new: Tasks) -> torch.Tensor:
    who = torch.repeat_interleave(torch.arange(len(new)), new.sizes)
    sums = torch.zeros(len(new), dtype=torch.float64).index_add_(0, who, new.targets.double())
    return sums / new.sizes


def _outcomes(shop: Shop, table, users: np.ndarray, lists, rng) -> dict[str, np.ndarray]:
    """What each visitor would do with each list. A phone in both lists is felt the same in both."""
    scenes = np.array([SCENE_NAMES.index(scene) for scene in table["scene"]])
    noise = np.array([scene.noise for scene in SCENES.values()])[scenes]
    felt_noise = noise[:, None] * rng.normal(size=(len(table), len(shop.truth.prices)))
    found = {}
    for arm, phones in lists.items():
        felt = shop.truth.appeal(users[:, None], phones, scenes[:, None])
        felt = felt + np.take_along_axis(felt_noise, phones, 1)
        best = np.take_along_axis(phones, felt.argmax(1)[:, None], 1)[:, 0]
        bought = felt.max(1) >= BUYS_AT
        stars = np.clip(np.round(felt), *shop.scale).mean(1)
        values = (stars, bought.astype(float), bought * shop.truth.prices[best])
        found |= {f"{metric}_{arm}": v for metric, v in zip(METRICS, values, strict=True)}
    return found
