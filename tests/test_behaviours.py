"""Will they take it: pairs drawn by the rule, probabilities that keep their word, and the errors that say so."""

import numpy as np
import pandas as pd
import pytest
import torch
from made import seeded
from test_catalogue_verdict import made_shop

from fsl import InputError, Shop, draw_shots, user_tasks
from fsl.behaviours.contest import METRICS, foretell, take_contenders
from fsl.behaviours.learners import TakeLogistic, TakeNet
from fsl.behaviours.odds import Odds
from fsl.behaviours.pairs import pair_episode, sampling_weights
from fsl.calibration import calibration_errors
from fsl.episodes import Examples
from fsl.measures import GAPS, Judged, check_measures, measure
from fsl.ranking.roster import Contender


@pytest.fixture(scope="module")
def tasks():
    return user_tasks(made_shop(), implicit=True)


@pytest.fixture(scope="module")
def found(tasks):
    everyone = [
        one
        for one in take_contenders(tasks, effort=0.3, shots=(1, 3))
        if one.name in ("most popular", "content neighbours", "logistic regression", "set network")
    ]
    return foretell(tasks, everyone, [0, 3])


def drawn(tasks, weights=None, n_negatives=3, seed=0):
    draw = draw_shots(tasks, 2, 3, seeded(seed))
    weights = torch.ones(len(tasks.object_ids)) if weights is None else weights
    return draw, *pair_episode(tasks, draw, n_negatives, weights, seeded(seed))


def test_pairs_are_what_was_taken_and_what_never_is(tasks):
    draw, episode, kept = drawn(tasks)
    inputs, targets = (
        episode.query.inputs.unflatten(1, (3, 4)),
        episode.query.targets.unflatten(1, (3, 4)),
    )
    assert targets[..., 0].eq(1).all()
    assert targets[..., 1:].eq(0).all()
    for t, task in enumerate(draw.tasks[kept].tolist()):
        ever = set(tasks.objects[tasks.offsets[task] : tasks.offsets[task + 1]].tolist())
        rows = draw.query[kept][t]
        asked = inputs[t, rows >= 0]
        assert asked[:, 0, 1].tolist() == tasks.objects[rows[rows >= 0]].tolist()
        assert not ever & set(asked[:, 1:, 1].flatten().tolist())
        assert (inputs[t, ..., 0] == tasks.subjects[task]).all()
    assert torch.equal(episode.query.mask.unflatten(1, (3, 4))[..., 0], draw.query[kept] >= 0)
    for a, b in zip(episode.query, drawn(tasks)[1].query, strict=True):
        assert torch.equal(a, b), "the same seed draws the same pairs"


def test_what_weighs_nothing_is_never_drawn_and_the_rest_by_weight(tasks):
    weights = torch.zeros(len(tasks.object_ids))
    weights[:2] = torch.tensor([3.0, 1.0])
    _, episode, kept = drawn(tasks, weights, 30)
    negatives = episode.query.inputs.unflatten(1, (3, 31))[:, :, 1:, 1]
    assert set(negatives.unique().tolist()) == {0, 1}
    may_be_both = [
        t for t, task in enumerate(kept.tolist())
        if not {0, 1} & set(tasks.objects[tasks.offsets[task] : tasks.offsets[task + 1]].tolist())
    ]  # fmt: skip
    share = (negatives[may_be_both] == 0).double().mean()
    assert float(share) == pytest.approx(0.75, abs=0.05)


def test_a_user_who_has_everything_is_passed_over():
    rows = [("u0", f"i{i}") for i in range(4)] + [("u1", f"i{i}") for i in range(3)]
    tasks = user_tasks(Shop(pd.DataFrame(rows, columns=["user", "item"])), implicit=True)
    draw = draw_shots(tasks, 1, 2, seeded(0))
    episode, kept = pair_episode(tasks, draw, 2, torch.ones(4), seeded(0))
    assert kept.tolist() == [1]
    assert episode.query.inputs[0].unflatten(0, (2, 3))[:, 1:, 1].eq(3).all()


def test_a_thing_that_the_user_has_is_no_question():
    times = range(4)
    rows = [("u0", item, t) for item, t in zip("abab", times, strict=True)] + [("u1", "c", 9)]
    tasks = user_tasks(
        Shop(pd.DataFrame(rows, columns=["user", "item", "timestamp"])), implicit=True
    )
    draw = draw_shots(tasks, 1, 3, seeded(0), "temporal")
    episode, _ = pair_episode(tasks, draw, 1, torch.ones(3), seeded(0))
    assert episode.query.mask.unflatten(1, (3, 2))[0, :, 0].tolist() == [True, False, False]


def test_samplings_by_name(tasks):
    assert sampling_weights("alike", tasks).eq(1).all()
    met = torch.bincount(tasks.objects, minlength=len(tasks.object_ids))
    assert torch.equal(sampling_weights("as popular", tasks), met.float())
    with pytest.raises(ValueError, match="sampling must be one of alike, as popular, got 'even'"):
        sampling_weights("even", tasks)


def asked(scores: torch.Tensor, targets: torch.Tensor) -> Examples:
    inputs = torch.zeros(*scores.shape, 2, dtype=torch.long)
    return Examples(inputs, targets, torch.ones_like(targets, dtype=torch.bool))


def test_the_curve_finds_the_law_that_made_the_labels():
    scores = 2 * torch.randn(300, 20, generator=seeded(0))
    law = torch.sigmoid(0.5 + 1.5 * scores)
    targets = (torch.rand(scores.shape, generator=seeded(1)) < law).float()
    query = asked(scores, targets)
    odds = Odds(torch.ones(1)).fit(3, scores, query)
    found = odds.probability(3, scores, query.inputs)
    assert (found - law).abs().max() < 0.05
    with pytest.raises(InputError, match=r"^20 pairs of validation users are too few"):
        Odds(torch.ones(1)).fit(3, scores[:1], asked(scores[:1], targets[:1]))


def records_of(p: torch.Tensor, targets: torch.Tensor, name: str = "it") -> pd.DataFrame:
    query = Examples(torch.zeros(*p.shape, 2), targets, torch.ones_like(targets, dtype=torch.bool))
    judged = Judged(p, query, (0.0, 1.0), None)
    frames = [
        pd.DataFrame({"learner": name, "partition": "takes", "n_shots": 3, "seed": 0, "metric": gap,
                      "task": range(len(p)), "group": range(len(p)), "value": measure(gap, judged)})
        for gap in GAPS
    ]  # fmt: skip
    return pd.concat(frames)


def test_the_calibration_error_is_that_of_the_bins_by_hand():
    rng = np.random.default_rng(0)
    p, y = rng.random((40, 8)), rng.integers(2, size=(40, 8)).astype(float)
    by_hand, bins = 0.0, np.minimum((p * 10).astype(int), 9)
    for b in range(10):
        inside = bins == b
        by_hand += inside.mean() * abs(y[inside].mean() - p[inside].mean())
    (line,) = calibration_errors(records_of(*map(torch.from_numpy, (p, y))), 3).itertuples()
    assert line.value == pytest.approx(by_hand, abs=1e-12)
    assert line.low <= line.high
    assert line.n_tasks == 40


@pytest.mark.parametrize(("p", "error"), [(0.25, 0.0), (0.0, 0.25), (1.0, 0.75)])
def test_calibration_of_constants(p, error):
    targets = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(30, 4)
    (line,) = calibration_errors(records_of(torch.full((30, 4), p), targets), 3).itertuples()
    assert line.value == pytest.approx(error, abs=1e-7)


def test_gaps_are_for_labels_and_known_by_their_bin():
    query = Examples(torch.zeros(2, 3, 2), torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool))
    assert measure("gap@1", Judged(torch.ones(2, 3), query, (1.0, 5.0), None)).isnan().all()
    check_measures(GAPS)
    for wrong in ("gap@0", "gap@11", "gap@x"):
        with pytest.raises(ValueError, match=f"unknown metrics {wrong}"):
            check_measures([wrong])


def test_drawn_negatives_stand_for_the_whole_catalogue():
    """Horvitz and Thompson: the weights of what is drawn sum to the number of objects, on average."""
    net = TakeNet(n_columns=6)

    class Known:
        n_objects = 40
        stats = torch.arange(40.0)[:, None].log1p()

    totals, often = [], torch.zeros(40)
    generator = seeded(0)
    for _ in range(4_000):
        drawn, log_weight = net._drawn(Known, generator)
        totals.append(float(log_weight.exp()[drawn].sum()))
        often += drawn
    assert np.mean(totals) == pytest.approx(40, rel=0.03)
    assert often[-1] > 2.5 * often[0], "the popular are drawn oftener"


def test_probabilities_are_judged_beside_rulers(found):
    records = found.records
    assert set(records["partition"]) == {"takes, others alike", "takes, others as popular"}
    assert list(found.n_shots) == [0, 3]
    assert set(METRICS) == set(records["metric"])
    values = records.groupby(["learner", "metric"])["value"].mean()
    assert values["constant", "auc"] == 0.5
    assert values["oracle", "auc"] == 1
    entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    assert values["constant", "logloss"] == pytest.approx(entropy, abs=1e-6)
    assert values["random", "auc"] == pytest.approx(0.5, abs=0.06)
    assert found.meta == ["set network"]
    assert found.simple[-1] == "logistic regression"


def test_taste_is_foretold_and_popularity_says_nothing_of_as_popular_others(found):
    kept = found.records.query("metric == 'auc' and n_shots == 3")
    auc = kept.groupby(["partition", "learner"])["value"].mean()
    alike, popular = "takes, others alike", "takes, others as popular"
    assert auc[popular, "content neighbours"] > 0.65
    assert auc[popular, "logistic regression"] > 0.65
    assert auc[popular, "most popular"] == pytest.approx(0.5, abs=0.08)
    assert auc[alike, "most popular"] > auc[popular, "most popular"]


def test_where_things_are_taken_at_random_nobody_foretells():
    rng = np.random.default_rng(0)
    rows = [(u, i) for u in range(200) for i in rng.choice(40, 6, replace=False)]
    tasks = user_tasks(Shop(pd.DataFrame(rows, columns=["user", "item"])), implicit=True)
    everyone = [one for one in take_contenders(tasks) if one.name in ("item kNN", "most popular")]
    judged = foretell(tasks, everyone, [3], samplings=("alike",)).records
    auc = judged[judged["metric"] == "auc"].groupby("learner")["value"].mean()
    assert abs(auc["item kNN"] - 0.5) < 0.08
    assert abs(auc["most popular"] - 0.5) < 0.08


def test_the_same_seed_gives_the_same_records_and_no_learner_sees_a_judged_user(tasks):
    seen = []

    class Spy(TakeLogistic):
        def fit(self, train, validation=None):
            seen.append(set(train.subject_ids[train.subjects.numpy()]))
            return super().fit(train, validation)

        def refresh(self, train):
            seen.append(set(train.subject_ids[train.subjects.numpy()]))
            return super().refresh(train)

    options = dict(timed=True, shots=(3,), n_asked=60, n_moments=2, lr=0.01)
    entries = [Contender("logistic", lambda seed: [Spy(seed=seed, **options)])]
    first = foretell(tasks, entries, [3]).records
    judged = set(first["task"])
    assert seen
    assert not any(judged & some for some in seen)
    assert foretell(tasks, entries, [3]).records.equals(first)
