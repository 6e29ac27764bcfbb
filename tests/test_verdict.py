"""The verdict in words: what it says of records that beat, lose, cannot be told apart, or disagree between seeds."""

import numpy as np
import pandas as pd
import pytest

from fsl import InputError
from fsl.cold_start.verdict import Verdict, newcomers, shots_in_words, verdict
from fsl.compare import against
from fsl.evaluation import ALL

N = 60


def records_of(gaps: dict, metric: str = "mse", n_seeds: int = 1, noise: float = 0.05):
    """gaps: learner -> {K: mean error above 1, or one for each seed}; tasks are hard or easy for everyone alike."""
    rng, frames = np.random.default_rng(0), []
    hard = rng.gamma(2, 0.5, N)
    hard -= hard.mean()
    for learner, by_shots in gaps.items():
        for (k, gap), seed in ((pair, s) for pair in by_shots.items() for s in range(n_seeds)):
            own = gap[seed] if isinstance(gap, tuple) else gap
            wobble = rng.normal(size=N) * noise
            value = 1 + own + 0.2 * hard + wobble - wobble.mean()
            tasks = [f"t{t}" for t in range(N)]
            frames.append(pd.DataFrame({
                "learner": learner, "partition": "user-cold", "n_shots": k, "seed": seed,
                "group": tasks, "task": tasks, "metric": metric, "value": value,
            }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def said(gaps: dict, meta=("MAML",), **more) -> Verdict:
    simple = [name for name in gaps if name not in meta]
    return verdict(records_of(gaps, **more), simple, list(meta), "mse", "points")


def test_who_beats_and_from_which_k_on():
    found = said(
        {
            "mean": {0: 0.5, 1: 0.5, 5: 0.5},
            "EB": {0: 0, 1: 0, 5: 0},
            "MAML": {0: 0.2, 1: -0.2, 5: -0.3},
        }
    )
    assert [line.outcome for line in found.lines] == ["loses to", "beats", "beats"]
    assert found.pays_from == 1
    line = found.lines[-1]
    assert (line.baseline, line.contender, line.n_tasks) == ("EB", "MAML", N)
    assert line.baseline_value - line.value == pytest.approx(-line.difference)
    assert str(found) == (
        f"new users (user-cold), {N} test tasks: use MAML, the cheapest method that nothing surely beats (MSE "
        f"{line.value:.3f} points at K = 5). From K = 1 on MAML beats EB, the best simple method (MSE {line.value:.3f} "
        f"against {line.baseline_value:.3f} points at K = 5, difference −0.3000, 95 % interval −{-line.low:.4f} to "
        f"−{-line.high:.4f})."
    )


def test_who_wins_at_each_k_is_not_said_of_the_others():
    found = said(
        {"EB": {1: 0, 5: 0}, "MAML": {1: -0.3, 5: -0.1}, "CNP": {1: -0.1, 5: -0.3}}, ("MAML", "CNP")
    )
    assert [line.contender for line in found.lines] == ["MAML", "CNP"]
    told = "From K = 1 on a meta-learner beats the best simple method; at K = 5 CNP beats EB (MSE "
    assert told in str(found)


def test_losing_is_said_with_what_to_use_instead():
    found = said({"mean": {1: 0.5, 5: 0.5}, "EB": {1: 0, 5: 0}, "MAML": {1: 0.2, 5: 0.2}})
    assert found.pays_from is None
    told = (
        ". Here no meta-learner beats EB, the best simple method: the best, MAML, loses to it (MSE "
    )
    assert told in str(found)
    value = found.lines[-1].baseline_value
    assert found.enough_value == value
    use = f": use EB, the cheapest method that nothing surely beats (MSE {value:.3f} points at K = 5)."
    assert use in str(found)


def test_a_win_at_few_shots_is_not_kept_back_where_more_shots_lose_it():
    found = said({"EB": {1: 0, 3: 0, 5: 0}, "MAML": {1: -0.2, 3: -0.2, 5: 0.2}})
    assert found.pays_from is None
    told = ". At K = 5 no meta-learner beats EB, the best simple method (one does at K = 1, 3): the best, MAML, "
    assert told + "loses to it (" in str(found)


def test_what_cannot_be_told_apart_is_said_and_the_cheaper_is_used():
    found = said({"EB": {1: 0}, "MAML": {1: -0.001}})
    assert found.lines[0].outcome == "cannot be told from"
    assert (
        ". Here no meta-learner beats EB, the best simple method: the best, MAML, cannot be told"
        in str(found)
    )
    assert found.enough == "EB", "though MAML's mean is the better"


def test_an_interval_alone_is_not_enough_where_many_were_looked_at():
    gaps = {"EB": {1: 0}} | {f"net {n}": {1: 0.003} for n in range(9)} | {"MAML": {1: -0.0235}}
    records, meta = records_of(gaps), [name for name in gaps if name != "EB"]
    line = verdict(records, ["EB"], ["MAML"], "mse").lines[0]
    assert line.high < 0
    assert line.outcome == "beats"
    of_many = verdict(records, ["EB"], meta, "mse").lines[0]
    assert (of_many.contender, of_many.low, of_many.high) == ("MAML", line.low, line.high)
    assert of_many.outcome == "cannot be told from"
    table = against(records, "EB", meta, "mse", 1).set_index("learner")
    assert of_many.p_holm == table.loc["MAML", "p_holm"] > 0.05 > line.p_holm


def test_seeds_that_disagree_make_it_undecided():
    words = "The 3 training seeds do not all say so by themselves: undecided."
    agreed = said({"EB": {5: 0}, "MAML": {5: (-0.3, -0.2, -0.3)}}, n_seeds=3)
    assert (agreed.n_seeds, agreed.seeds_agree) == (3, True)
    assert "undecided" not in str(agreed)
    parted = said({"EB": {5: 0}, "MAML": {5: (-0.3, 0.2, -0.3)}}, n_seeds=3)
    assert parted.lines[-1].outcome == "beats"
    assert str(parted).endswith(words)
    earlier = said({"EB": {1: 0, 5: 0}, "MAML": {1: (0.3, -0.2, 0), 5: -0.3}}, n_seeds=3)
    assert earlier.seeds_agree, "the largest K counts"


def test_a_winner_that_no_seed_finds_alone_is_undecided():
    found = said({"EB": {5: 0}, "MAML": {5: -0.013}}, n_seeds=9)
    assert found.lines[-1].outcome == "beats"
    assert not found.seeds_agree


@pytest.mark.parametrize(("metric", "gap"), [("auc", 0.2), ("mae", -0.2)])
def test_higher_is_better_but_for_errors(metric, gap):
    records = records_of({"EB": {1: 0}, "MAML": {1: gap}}, metric)
    found = verdict(records, ["EB"], ["MAML"], metric)
    assert found.lines[0].outcome == "beats"
    assert found.lines[0].win_share > 0.5
    assert f"({metric.upper()} {1 + gap:.3f} against 1.000 at K = 1, " in str(found), "no unit"


def test_rmse_is_the_root_of_mean_squares():
    found = verdict(records_of({"EB": {1: 0}, "MAML": {1: -0.19}}), ["EB"], ["MAML"])
    assert found.lines[0].value == pytest.approx(0.9)
    assert found.lines[0].difference == pytest.approx(-0.1)


def test_few_test_tasks_are_said_to_be_few():
    records = records_of({"EB": {1: 0}, "MAML": {1: -0.001}})
    few = records[records["task"].isin([f"t{t}" for t in range(16)])]
    told = " 16 test tasks are few: even a large difference may not show; judge more, by folds."
    assert str(verdict(few, ["EB"], ["MAML"], "mse")).endswith(told)
    assert "are few" not in str(verdict(records, ["EB"], ["MAML"], "mse"))


def test_who_is_new_is_said_in_words_beside_the_name_in_the_tables():
    assert newcomers("item-cold, first known") == "new items"
    assert newcomers("new users, whole catalogue") == "new users, whole catalogue"
    records = records_of({"EB": {1: 0}, "MAML": {1: 0.2}})
    once = [
        str(verdict(records.assign(partition=name), ["EB"], ["MAML"], "mse"))
        for name in ("item-cold, first known", "new users, whole catalogue")
    ]
    assert once[0].startswith(f"new items (item-cold, first known), {N} test tasks: use EB, ")
    assert once[1].startswith(f"new users, whole catalogue, {N} test tasks: use EB, ")


def test_the_warm_reference_and_who_stayed_out_are_left_out():
    gaps = {"EB": {1: 0, ALL: -0.9}, "MAML": {1: -0.2, ALL: 0.9}}
    found = verdict(records_of(gaps), ["EB", "trees"], ["MAML", "CNP"], "mse")
    assert [line.n_shots for line in found.lines] == [1]
    assert found.pays_from == 1
    assert (shots_in_words(ALL), shots_in_words(10)) == ("all", "10")


def test_the_table_has_a_line_per_k():
    table = said({"EB": {1: 0, 5: 0}, "MAML": {1: -0.2, 5: 0.2}}, noise=0.01).table()
    assert table["K"].tolist() == ["1", "5"]
    assert table["outcome"].tolist() == ["beats", "loses to"]
    assert table["best simple"].tolist() == ["EB 1.000", "EB 1.000"]
    assert table["best meta-learner"].tolist() == ["MAML 0.800", "MAML 1.200"]
    assert table["wins"].tolist() == ["100%", "0%"]
    assert table["difference [95 %]"].iloc[0].startswith("-0.200 [-0.2")


def test_the_order_of_records_changes_no_word():
    records = records_of({"EB": {1: 0, 5: 0}, "MAML": {1: -0.2, 5: 0.01}}, n_seeds=2)
    shuffled = records.sample(frac=1, random_state=0)
    assert str(verdict(shuffled, ["EB"], ["MAML"])) == str(verdict(records, ["EB"], ["MAML"]))


@pytest.mark.parametrize(("simple", "meta"), [(["EB"], []), ([], ["MAML"]), (["EB"], ["CNP"])])
def test_a_verdict_takes_somebody_of_each_kind(simple, meta):
    records = records_of({"EB": {1: 0}, "MAML": {1: 0}})
    with pytest.raises(InputError, match="needs records of a simple method and of a meta-learner"):
        verdict(records, simple, meta)
