"""How long one newcomer takes: adapting to ten ratings, ranking a catalogue, saying why. Closed-form heads, one thread.

    {"schema": 1, "machine": as in `fsl.speed.run`, "n_items", "n_shots", "calls",
     "rows": [{"learner", "what", "ms", "p95_ms"}], "bars": [{"learner", "at_most_ms", "measured", "met"}]}

Every call is another user with other ratings and other columns (age, …). ms and p95_ms: median and 95th percentile of
the calls. what: "rank" is adapting and the order of all items; "answer" also puts the ten best in a table with names,
intervals and reasons.
"""

import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fsl.encoder import Code, Encoder
from fsl.recommending.attributes import Content
from fsl.recommending.catalogue import Catalogue
from fsl.recommending.linear import EmpiricalBayesSide
from fsl.recommending.model import Model
from fsl.recommending.nets import NetSide
from fsl.recommending.side import Side
from fsl.speed.machine import about_machine, clock
from fsl.speed.measure import seconds_of
from fsl.speed.table import headline

N_SHOTS = 10
AT_MOST_MS = 10.0
PEOPLE = (  # as ml-100k has them: 24 features
    Code("age", "number", 34.0, 12.0),
    Code("gender", "value", levels=("f", "m")),
    Code("occupation", "value", levels=tuple(f"job {i}" for i in range(21))),
)
N_FEATURES = 24
SHAPES = {
    "EB+": 15,
    "ALPaCA": 16,
    "ridge head": 16,
}  # weights that are adapted, as `fsl train` makes them
N_EMBEDDING, N_HIDDEN = 28, 16


def run(
    n_items: int = 10_000, calls: int = 200, tell: Callable[[str], None] = lambda line: None
) -> dict:
    """Time invented models of real shapes; see the module for what is returned."""
    machine, rows = about_machine(), []
    for learner in SHAPES:
        tell(f"{learner}, {n_items:,} items, {calls} users")
        rows += _rows(invented(learner, n_items), learner, calls)
    ms = {row["learner"]: row["ms"] for row in rows if row["what"] == "rank"}
    bars = [
        {
            "learner": name,
            "at_most_ms": AT_MOST_MS,
            "measured": ms[name],
            "met": ms[name] <= AT_MOST_MS,
        }
        for name in SHAPES
    ]
    about = {
        "schema": 1,
        "machine": machine,
        "n_items": n_items,
        "n_shots": N_SHOTS,
        "calls": calls,
    }
    return about | {"rows": rows, "bars": bars}


def _rows(model: Model, learner: str, calls: int) -> list[dict]:
    def rank(places: Tensor, targets: Tensor, age: int) -> None:
        own = torch.zeros(N_FEATURES, dtype=torch.float64)
        own[0], own[1], own[3] = age / 12, 1, 1
        model.ranked("user", places, targets, Content(own, {}), 10)

    def answer(places: Tensor, targets: Tensor, age: int) -> None:
        ids = (model.objects["item"].ids[place] for place in places.tolist())
        about = {"age": age, "gender": "f", "occupation": "job 3"}
        model.recommend(dict(zip(ids, targets.tolist(), strict=True)), about=about)

    found = []
    for what, ask in (("rank", rank), ("answer", answer)):
        seconds = [
            seconds_of(lambda ask=ask, user=user: ask(*user), clock()[1])
            for user in _users(len(model.objects["item"].ids), calls + 3)
        ][3:]  # the first ones find nothing in the processor's memory
        cuts = statistics.quantiles(seconds, n=20, method="inclusive")
        ms = {"ms": 1e3 * statistics.median(seconds), "p95_ms": 1e3 * cuts[18]}
        found.append({"learner": learner, "what": what} | ms)
    return found


def _users(n_items: int, n: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(n):
        places = torch.randperm(n_items, generator=generator)[:N_SHOTS]
        targets = torch.randint(1, 6, (N_SHOTS,), generator=generator).double()
        yield places, targets, int(torch.randint(16, 80, (), generator=generator))


def invented(learner: str, n_items: int) -> Model:
    """A model of random numbers, with the shapes that `fsl train` gives; its other side knows one user."""
    generator = torch.Generator().manual_seed(1)
    items = tuple(f"p{i}" for i in range(n_items))
    return Model(
        about={
            **{"learner": learner, "data": "invented", "simulated": True, "target": "rating"},
            "scale": [1.0, 5.0],
        },
        sides={"user": _side(learner, n_items, generator), "item": _side(learner, 1, generator)},
        objects={
            "item": Catalogue("item", items, items),
            "user": Catalogue("user", ("u",), ("u",)),
        },
        encoders={key: Encoder(PEOPLE) for key in ("user", "item")},
    )


def _side(learner: str, n: int, generator: torch.Generator) -> Side:
    def draw(*shape: int) -> Tensor:
        return 0.3 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    p, f, usual = SHAPES[learner], N_FEATURES, draw(N_FEATURES)
    half = draw(p, p)
    covariance = half @ half.T + 0.1 * torch.eye(p)
    base, noise = 3.5 + draw(n), 0.8 + draw(n).square()
    if learner == "EB+":
        return EmpiricalBayesSide(base, noise, draw(n, p), covariance, draw(p), draw(f, p), usual)
    settings = torch.tensor([0.8, 1.0, 0.0, 0.9 if learner == "ridge head" else 0.0]).double()
    d, h = N_EMBEDDING, N_HIDDEN
    inner = (draw(h, d), draw(h, f), draw(h), draw(p, h), draw(p))
    return NetSide(base, draw(n, d), *inner, draw(p), covariance, settings, usual)


def as_text(found: dict) -> str:
    """The machine, a line for each learner and question, and the bars."""
    of = f"one new user, {found['n_shots']} ratings, {found['n_items']:,} items, {found['calls']} users"
    lines = [headline(found["machine"]), "", of, f"  {'':<12}{'':<8}{'median':>10}{'95th':>10}  ms"]
    lines += [
        f"  {row['learner']:<12}{row['what']:<8}{row['ms']:>10.2f}{row['p95_ms']:>10.2f}"
        for row in found["rows"]
    ]
    for bar in found["bars"]:
        verdict = "met" if bar["met"] else "NOT MET"
        asked = f"{bar['learner']} ranks within {bar['at_most_ms']:g} ms at the median"
        lines.append(f"{verdict:<9}{asked}, measured {bar['measured']:.2f}")
    return "\n".join(lines)
