"""`fsl train`: a shop becomes a model of two sides, for new users and new items. Knows shops, learners and sides."""

from collections.abc import Callable
from importlib.metadata import version

import torch

from fsl.data import Shop
from fsl.errors import InputError
from fsl.features import fit_encoder
from fsl.learners.cooccurrence import ItemKNN
from fsl.learners.object_neighbours import ObjectKNN
from fsl.recommending.catalogue import Catalogue
from fsl.recommending.intervals import Widths, measured
from fsl.recommending.linear import EmpiricalBayesSide
from fsl.recommending.model import Model
from fsl.recommending.nearest import NearestSide
from fsl.recommending.nets import NetSide
from fsl.recommending.side import Side
from fsl.recommending.together import AudienceSide, TogetherSide
from fsl.tasks import Tasks, item_tasks, user_tasks

LEARNERS = ("EB+", "ALPaCA", "ridge head", "item kNN")


def train(
    shop: Shop,
    learner: str | None = None,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Model:
    """Fit on all behaviours of the shop, once on user-tasks and once on item-tasks.

    learner: "EB+" (default; empirical Bayes), "ALPaCA", "ridge head", "item kNN" (nearest liked items; the default, and
    the only one, for a shop that has neither ratings nor labels). Raises InputError for another one.
    """
    name = learner or ("EB+" if shop.target else "item kNN")
    _check(shop, name)
    tasks = {
        "user": user_tasks(shop, implicit=shop.target is None),
        "item": item_tasks(shop, implicit=shop.target is None),
    }
    sides, widths = {}, {}
    for newcomer, part in tasks.items():
        tell(f"{name} for new {newcomer}s, {len(part):,} tasks")
        fit = _fit(name, newcomer, shop.target is None, seed)
        sides[newcomer] = fit(part)
        if shop.target is not None:
            tell(f"how wide its intervals for new {newcomer}s must be")
            widths[newcomer] = measured(part, fit, seed, with_content=newcomer == "item")
    return Model(
        about=_about(shop, name, seed),
        sides=sides,
        objects=_objects(shop, tasks),
        encoders={
            key: fit_encoder(table, tasks[key].subject_ids, key)
            for key, table in (("user", shop.users), ("item", shop.items))
        },
        widths=widths or {key: Widths() for key in tasks},
    )


def _check(shop: Shop, name: str) -> None:
    if name not in LEARNERS:
        raise InputError(f"no learner is called {name!r}, expected one of {', '.join(LEARNERS)}.")
    if shop.target is None and name != "item kNN":
        raise InputError(
            f"{shop.name}: {name} needs a column rating or label in interactions, which has neither; "
            "without them only item kNN can be trained."
        )
    for key in ("user", "item"):
        if (n := shop.interactions[key].nunique()) < 2:
            raise InputError(f"{shop.name}: interactions are of {n} {key}, expected at least 2.")


def _fit(name: str, newcomer: str, implicit: bool, seed: int) -> Callable[[Tasks], Side]:
    if implicit:
        kind = TogetherSide if newcomer == "user" else AudienceSide
        return lambda tasks: kind.fitted(tasks, ItemKNN())
    if name == "EB+":
        return lambda tasks: EmpiricalBayesSide.fitted(tasks, seed=seed)
    if name == "item kNN":
        return lambda tasks: NearestSide.fitted(tasks, ObjectKNN())
    return lambda tasks: NetSide.fitted(tasks, name, seed)


def _objects(shop: Shop, tasks: dict[str, Tasks]) -> dict[str, Catalogue]:
    items, users = tasks["user"].object_ids, tasks["item"].object_ids
    names = shop.item_names().reindex(items)
    return {
        "item": Catalogue("item", tuple(map(str, items)), tuple(names)),
        "user": Catalogue("user", tuple(map(str, users)), tuple(map(str, users))),
    }


def _about(shop: Shop, name: str, seed: int) -> dict:
    return {
        "learner": name,
        "data": shop.name,
        "simulated": bool(shop.simulated),
        "target": shop.target,
        "scale": [0.0, 1.0] if shop.target is None else [float(end) for end in shop.scale],
        "seed": int(seed),
        "versions": {"fsl": version("fsl"), "torch": torch.__version__},
    }
