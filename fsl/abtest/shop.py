"""An A/B test in the simulated shop of `fsl.environment`: the popular phones against the meta-learned guide.

Everybody is played twice, with either guide and the same luck, as only an inventor can: so the true effect is known.
Everything here is simulated. Knows visits and beliefs; knows no statistics.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fsl.bandits.posterior import Belief
from fsl.bandits.priors import MetaPrior
from fsl.data import Shop
from fsl.environment.rules import NOTHING, SHOW, Rules
from fsl.environment.visits import Turn, Visits, stars_of
from fsl.episodes import draw_shots, gather
from fsl.errors import InputError
from fsl.simulate import SCENE_NAMES
from fsl.tasks import Tasks, user_tasks

ARMS = ("popular", "guide")
METRICS = ("stars", "bought", "spend_usd")
FEWEST_VISITORS = 100
KNOWN = 3  # ratings that the guide knows of a visitor
RULES = Rules(n_slots=3, n_turns=2)  # three phones at a time, twice at most


class Guests(NamedTuple):
    """Who comes: their tasks; what they had so far and how they rated it, [n, K]; the visits to be played.

    items: row of the shop's items for each object of the tasks, [n_objects].
    """

    tasks: Tasks
    had: Tensor
    ratings: Tensor
    visits: Visits
    items: np.ndarray


def visitors(shop: Shop, n_past: int = 600, n_days: int = 28, seed: int = 0) -> pd.DataFrame:
    """Everybody but the `n_past` users whom the guide learned from, one visit each, with both outcomes.

    Columns: user, day (from 1), scene, stars_before (mean of all ratings before the test), then for each of ARMS
    `stars_`: mean stars that the reactions to the shown phones say, `bought_`: 1 or 0, `spend_usd_`. Raises InputError
    for a shop that is not simulated or has not `FEWEST_VISITORS` users more than `n_past`.
    """
    rng, tasks = np.random.default_rng(seed), user_tasks(shop)
    if len(tasks) < n_past + FEWEST_VISITORS:
        seen = f"{len(tasks):,} people have a past, the guide learns from {n_past:,}"
        raise InputError(f"{seen}: expected more of them, by {FEWEST_VISITORS}.")
    order = torch.from_numpy(rng.permutation(len(tasks)))
    past, new = (tasks.subset(part.sort().values) for part in (order[:n_past], order[n_past:]))
    guests = _guests(shop, new.subset((new.sizes > KNOWN).nonzero()[:, 0]), rng, seed)
    table = pd.DataFrame({
        "user": np.asarray(guests.tasks.subject_ids[guests.tasks.subjects.numpy()]),
        "day": 1 + rng.integers(n_days, size=len(guests.tasks)),
        "scene": np.array(SCENE_NAMES)[guests.visits.pairs[:, 1]],
        "stars_before": guests.tasks.task_means.double().numpy(),
    })  # fmt: skip
    for arm, shows in (("popular", popular(past, guests)), ("guide", guide(past, guests, seed))):
        table = table.assign(**outcomes(guests, shows, arm))
    return table


def _guests(shop: Shop, new: Tasks, rng: np.random.Generator, seed: int) -> Guests:
    """One visit each, in the scene of one behaviour of their own, drawn at random."""
    rows = new.rows[new.offsets[:-1] + torch.from_numpy(rng.integers(new.sizes.numpy()))]
    scenes = pd.Index(SCENE_NAMES).get_indexer(shop.interactions["scene"].to_numpy()[rows.numpy()])
    users = pd.Index(shop.users["user"]).get_indexer(new.subject_ids[new.subjects.numpy()])
    visits = Visits.of_shop(shop, rules=RULES, seed=seed).expecting(
        np.column_stack([users, scenes])
    )
    support = gather(
        new, draw_shots(new, KNOWN, 1, torch.Generator().manual_seed(seed), "temporal")
    ).support
    items = pd.Index(shop.items["item"]).get_indexer(new.object_ids)
    return Guests(new, support.inputs[..., 1], support.targets, visits, items)


class Shows(NamedTuple):
    """A guide: scores of all phones [n, n_items] now, and what it learns from a turn's phones [n, 3] and reactions."""

    scores: Callable[[], Tensor]
    learn: Callable[[np.ndarray, Turn], None]


def popular(past: Tasks, guests: Guests) -> Shows:
    """The most often rated phones, in the same order for everyone."""
    n_items = len(past.object_ids)
    counts = torch.bincount(past.objects, minlength=n_items).double()
    return Shows(lambda: _unknown(counts.expand(len(guests.tasks), -1), guests), lambda *_: None)


def guide(past: Tasks, guests: Guests, seed: int = 0) -> Shows:
    """The best under a belief: the meta-learned prior (EB+), then KNOWN ratings, then the reactions of the visit."""
    n, n_items = len(guests.tasks), len(past.object_ids)
    prior = MetaPrior(n_fits=1, seed=seed).fit(past)
    now = [prior.belief(guests.tasks.subjects, torch.arange(n_items).expand(n, -1))]
    for k in range(KNOWN):
        now[0] = now[0].after(guests.had[:, k], guests.ratings[:, k])

    def learn(phones: np.ndarray, turn: Turn) -> None:
        now[0] = _after(now[0], phones, turn.reactions)

    return Shows(lambda: _unknown(now[0].expected(), guests), learn)


def _unknown(scores: Tensor, guests: Guests) -> Tensor:
    """Nobody is shown what the guide knows they have rated."""
    return scores.scatter(1, guests.had, -torch.inf)


def _after(belief: Belief, phones: np.ndarray, reactions: np.ndarray) -> Belief:
    """The belief after a turn's reactions, phone by phone."""
    for slot in range(phones.shape[1]):
        seen = torch.from_numpy(reactions[:, slot])
        stars = torch.from_numpy(stars_of(reactions[:, slot]))
        belief = belief.after(torch.from_numpy(phones[:, slot]), stars, seen != NOTHING)
    return belief


def outcomes(guests: Guests, shows: Shows, arm: str) -> dict[str, np.ndarray]:
    """Everybody's visit with that guide, [n] each. Luck hangs on visitor and phone alone: the same for any guide."""
    visits, n = guests.visits, len(guests.tasks)
    visits.arrive(np.arange(n))
    stars, seen, bought = np.zeros(n), np.zeros(n), np.full(n, -1)
    for _ in range(visits.rules.n_turns):
        shown = torch.from_numpy(visits.shown[:, guests.items])
        scores = shows.scores().masked_fill(shown, -torch.inf)
        phones = scores.topk(visits.rules.n_slots, dim=1).indices.numpy()
        turn = visits.step(np.full(n, SHOW), guests.items[phones])
        stars += stars_of(turn.reactions).sum(1)
        seen += (turn.reactions != NOTHING).sum(1)
        bought = np.maximum(bought, turn.bought)
        shows.learn(phones, turn)
    spent = np.where(bought >= 0, visits.truth.prices[bought], 0.0)
    values = (stars / seen, (bought >= 0).astype(float), spent)
    return {f"{metric}_{arm}": v for metric, v in zip(METRICS, values, strict=True)}


def assigned(table: pd.DataFrame, rng: np.random.Generator, share: float = 0.5) -> pd.DataFrame:
    """The test's log: each visitor dealt into one arm, the other outcome unseen. Columns as a shop would have them."""
    treated = rng.random(len(table)) < share
    log = table[["user", "day", "scene"]].assign(variant=np.where(treated, ARMS[1], ARMS[0]))
    for metric in METRICS:
        log[metric] = np.where(treated, table[f"{metric}_guide"], table[f"{metric}_popular"])
    return log.assign(stars_before=table["stars_before"]).sort_values("day", kind="stable")
