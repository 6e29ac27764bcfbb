"""No leak: everyone who competes, on a small simulated shop. Each test of an innocent has a culprit that it catches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made import seeded

import fsl
from fsl import Shop, draw_shots, evaluate, gather
from fsl.cold_start import competition
from fsl.cold_start.competition import Entry, compete
from fsl.cold_start.partitions import partition
from fsl.cold_start.verdict import verdict
from fsl.compare import against
from fsl.episodes import Examples
from fsl.learners import GlobalMean, ItemEffect, Siamese, UserKNN
from fsl.learners.attentive import AttentiveBayes
from fsl.learners.roster import meta_entries, simple_entries
from fsl.tasks import join

FEWER = {
    "n_trees": 8,
    "n_fits": 1,
    "n_inner_fits": 1,
    "n_inner": 2,
    "max_rows": 2_000,
    "max_draws": 2,
}
ROSTER = [entry.name for entry in [*simple_entries(1), *meta_entries(3, 1)]]


def inner(learner) -> list:
    """The candidates among which a learner chooses, or itself."""
    return list(getattr(learner, "candidates", [learner]))


def quick(entry: Entry, seed: int = 0):
    """An entry's learner with fewer trees, fits and steps: what it learns from is the same."""
    learner = entry.make(seed)
    for candidate in inner(learner):
        for name, value in FEWER.items():
            if hasattr(candidate, name):
                setattr(candidate, name, value)
        if isinstance(candidate, Siamese):
            candidate.n_steps = 8
        if isinstance(candidate, AttentiveBayes):
            candidate.n_iterations = 4
    return learner


class Watched:
    """Entries whose learners are kept, with all tasks that each was given to learn from."""

    def __init__(self, names=ROSTER):
        every = [*simple_entries(1), *meta_entries(3, 1)]
        self.entries = [
            replace(entry, make=lambda seed, entry=entry: self.noted(entry, seed))
            for entry in every
            if entry.name in names
        ]
        self.fitted, self.given = {}, {}

    def noted(self, entry: Entry, seed: int):
        learner, given = quick(entry, seed), self.given.setdefault(entry.name, [])
        for candidate in inner(learner):

            def fit(tasks, validation=None, own=candidate.fit):
                given.extend([tasks] if validation is None else [tasks, validation])
                return own(tasks, validation)

            candidate.fit = fit
        self.fitted[entry.name] = learner
        return learner


@pytest.fixture(scope="module")
def shop():
    return fsl.load("simulated", n_users=150, n_items=40)


def half(shop):
    """Half of the users are tested: enough to see small gains."""
    return partition(shop, "user-cold", by="random", fractions=(0.4, 0.1, 0.5))


@pytest.fixture(scope="module")
def part(shop):
    return half(shop)


def competed(part, names=ROSTER, **options):
    """Who was watched, and the competition."""
    watched = Watched(names)
    options = {"n_shots": (0, 5), "n_query": 5, "metrics": ("mse",), "with_warm": False} | options
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(competition, "_TIMED_TASKS", 1)  # what it costs is not asked here
        return watched, compete([part], watched.entries, **options)


@pytest.fixture(scope="module")
def everyone(part):
    return competed(part)


def shared(given: list, test) -> tuple[int, int]:
    """How many users, and how many behaviours, of the test tasks are in what was given to learn from."""
    people, rows = set(test.groups.tolist()), set(test.rows.tolist())
    met = set().union(*(tasks.groups.tolist() for tasks in given))
    read = set().union(*(tasks.rows.tolist() for tasks in given))
    return len(met & people), len(read & rows)


def test_nobody_of_the_roster_learns_from_a_test_user(part, everyone):
    watched, found = everyone
    assert set(found.records["learner"]) == {*ROSTER, "random", "constant", "oracle"}
    for name in ROSTER:
        assert watched.given[name], name
        assert shared(watched.given[name], part.test) == (0, 0), name
    assert shared([join(part.train, part.test)], part.test) == (len(part.test), part.test.n_rows)


def shown(part, n_shots: int, tasks=None):
    """An episode of all test tasks, and the rows it is made of."""
    tasks = part.test if tasks is None else tasks
    draw = draw_shots(tasks, n_shots, 4, seeded(0), reserve=3)
    return gather(tasks, draw), draw


def test_predictions_are_the_same_again_and_whatever_the_order_of_the_test_tasks(part, everyone):
    (support, query), _ = shown(part, 3)
    order = torch.randperm(len(query.targets), generator=seeded(1))
    turned = Examples(*(side[order] for side in support))
    for name, learner in everyone[0].fitted.items():
        first = learner.predict(support, query.inputs)
        moved = learner.predict(turned, query.inputs[order])
        few = learner.predict(Examples(*(side[:3] for side in support)), query.inputs[:3])
        assert torch.equal(learner.predict(support, query.inputs), first), name
        torch.testing.assert_close(moved, first[order], msg=name)
        torch.testing.assert_close(few, first[:3], msg=name)


class Adapts(ItemEffect):
    """A culprit: it goes on learning from test tasks."""

    def predict(self, support, query_inputs):
        found = super().predict(support, query_inputs)
        self.mean = self.mean + 0.1 * (support.targets.mean() - self.mean)
        return found


def test_a_learner_that_keeps_something_of_a_test_task_is_seen(part):
    learner, ((support, query), _) = Adapts().fit(part.train), shown(part, 3)
    first, second = (learner.predict(support, query.inputs) for _ in range(2))
    assert not torch.equal(first, second)


class Noting:
    """Keeps what another learner predicts."""

    def __init__(self, learner):
        self.learner, self.said = learner, []

    def predict(self, support, query_inputs):
        self.said.append(self.learner.predict(support, query_inputs))
        return self.said[-1]


class Peeks(ItemEffect):
    """A culprit: it looks the test tasks' targets up."""

    def __init__(self, tasks):
        super().__init__()
        self.table = torch.zeros(len(tasks.subject_ids), len(tasks.object_ids))
        self.table[tasks.subjects[tasks.task_of_row], tasks.objects] = tasks.targets

    def predict(self, support, query_inputs):
        return self.table[query_inputs[..., 0], query_inputs[..., 1]]


def test_query_targets_changed_after_the_support_is_given_change_no_prediction(part, everyone):
    _, draw = shown(part, 3)
    asked, turned = draw.query[draw.query >= 0], part.test.targets.clone()
    turned[asked] = 6 - turned[asked]
    changed = replace(part.test, targets=turned)
    said = []
    for tasks in (part.test, changed):
        notes = {name: Noting(learner) for name, learner in everyone[0].fitted.items()}
        notes["culprit"] = Noting(Peeks(tasks))
        evaluate(notes, tasks, (3,), 4, metrics=("mse",))
        said.append({name: note.said[0] for name, note in notes.items()})
    differs = {name for name in said[0] if not torch.equal(said[0][name], said[1][name])}
    assert differs == {"culprit"}


def ahead(records, names, reference: str) -> set:
    """Whose paired 95 % interval leaves the reference behind at some K."""
    found = set()
    for k in records["n_shots"].unique():
        table = against(records, reference, names, "mse", k)
        found |= set(table[table["high"] < 0]["learner"])
    return found


@pytest.fixture(scope="module")
def shuffled(shop):
    """The same shop, but every rating belongs to somebody else's behaviour: there is nothing to learn."""
    lots = np.random.default_rng(0).permutation(len(shop.interactions))
    ratings = shop.interactions["rating"].to_numpy()[lots]
    return half(Shop(shop.interactions.assign(rating=ratings), shop.users, shop.items))


def test_shuffled_labels_bring_everyone_down_to_the_global_mean(shuffled, everyone):
    rivals = [name for name in ROSTER if name != "global mean"]
    _, found = competed(shuffled)
    assert ahead(found.records, rivals, "global mean") == set()
    learned = ahead(everyone[1].records, rivals, "global mean")
    assert learned >= {"ridge on features", "EB+", "EB+ with set encoder"}, "true ones teach"


def test_what_leaks_is_ahead_even_on_shuffled_labels(shuffled):
    both = join(shuffled.train, shuffled.test)
    learners = {
        "global mean": GlobalMean().fit(both),
        "honest": UserKNN(1, 0.1, 0.1).fit(shuffled.train),
        "culprit": UserKNN(1, 0.1, 0.1).fit(both),
    }
    records = evaluate(learners, shuffled.test, (5,), 5, metrics=("mse",))
    assert ahead(records, ["honest", "culprit"], "global mean") == {"culprit"}
    errors = records.groupby("learner")["value"].mean()
    assert errors["culprit"] < 0.7 * errors["global mean"] < 0.7 * errors["honest"]


@pytest.mark.parametrize("name", ["item kNN", "user kNN", "EB", "EB+"])
def test_an_injected_leak_shows_in_the_errors_and_in_the_check(part, name):
    (entry,) = (entry for entry in simple_entries(1) if entry.name == name)
    leaky = replace(part, train=join(part.train, part.test))
    honest, culprit = (quick(entry).fit(x.train, x.validation) for x in (part, leaky))
    learners = {"honest": honest, "culprit": culprit}
    records = evaluate(learners, part.test, (5,), 5, metrics=("mse",))
    assert ahead(records, ["culprit"], "honest") == {"culprit"}
    assert shared([leaky.train], leaky.test)[0] == len(leaky.test)


TIMED = ["item + user bias", "EB+", "ridge head"]


def test_nothing_is_learned_from_what_comes_later(shop):
    """Ratings from the first test moment on are turned round: who learned before cannot know."""
    part = partition(shop, "user-cold", by="temporal")
    first = float(part.test.times.min())
    table = shop.interactions.copy()
    later = table["timestamp"] >= first
    table.loc[later, "rating"] = 6 - table.loc[later, "rating"]
    other = partition(Shop(table, shop.users, shop.items), "user-cold", by="temporal")
    draw = draw_shots(part.test, 3, 4, seeded(0), "temporal")
    support, query = gather(part.test, draw)
    for name in TIMED:
        said = []
        for watch, side in ((Watched([name]), part), (Watched([name]), other)):
            learner = watch.entries[0].make(0).fit(side.train, side.validation)
            assert all(float(tasks.times.max()) < first for tasks in watch.given[name])
            said.append(learner.predict(support, query.inputs))
        assert torch.equal(*said), name
    assert later.mean() > 0.1
    known, asked = (part.test.times[rows.clamp(min=0)] for rows in (draw.support, draw.query))
    assert (known.amax(1, keepdim=True) <= torch.where(draw.query >= 0, asked, torch.inf)).all()


REPEATED = ["item kNN", "EB+", "ALPaCA", "MAML", "EB+ with set encoder"]


def test_the_same_seed_gives_the_same_records_and_words_byte_for_byte(part):
    simple, meta, said = REPEATED[:2], REPEATED[2:], []
    for start in (0, 7):
        torch.manual_seed(start)  # the global generators are none of its business
        np.random.seed(start)  # noqa: NPY002
        _, found = competed(part, REPEATED, metrics=("mse", "coverage@90"), seeds=(3,))
        words = str(verdict(found.records, simple, meta, unit="stars"))
        said.append((found.records.to_csv().encode(), words.encode()))
    assert said[0] == said[1]
