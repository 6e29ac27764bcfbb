"""Whether a verdict is possible: the rule that `data check` and the evaluation share."""

import numpy as np
import pytest

from fsl.feasibility import feasible_sizes, lacking, least_behaviours, verdict


@pytest.mark.parametrize(
    ("median", "expected"),
    [
        (1, ((), 0)),
        (2, ((1,), 1)),
        (10, ((1, 3, 5), 5)),
        (20, ((1, 3, 5, 10), 10)),
        (99, ((1, 3, 5, 10), 10)),
    ],
)
def test_shots_and_query_fit_into_the_median_task(median, expected):
    assert feasible_sizes(median) == expected


def test_a_task_needs_its_largest_support_and_half_a_query():
    assert least_behaviours((1, 3, 5), 5) == 7
    assert least_behaviours((1,), 1) == 2


def test_the_verdict_says_what_can_be_judged_or_why_nothing_can():
    assert verdict(np.full(30, 10), True) == (
        "half of your users have 10 or fewer behaviours: K = 1, 3, 5 can be judged"
    )
    assert verdict(np.full(30, 10), False).endswith("can be judged (random support: no timestamps)")
    assert verdict(np.full(24, 10), True) == (
        "no cold-start verdict is possible: 24 users have the 7 behaviours that a judgement takes, "
        "at least 25 are needed"
    )
    assert verdict(np.array([1, 1, 1, 9]), True) == (
        "no cold-start verdict is possible with a median of 1 behaviour per user; 1 of 4 users have 4 or more"
    )


@pytest.mark.parametrize("counts", [[1] * 9, [9] * 24 + [1] * 30, [9] * 24, [10] * 30, [3] * 25])
def test_something_is_lacking_exactly_where_no_verdict_is_possible(counts):
    counts = np.array(counts)
    impossible = verdict(counts, True).startswith("no cold-start verdict is possible")
    assert bool(lacking(counts)) == impossible


def test_what_is_lacking_is_said_in_numbers():
    assert lacking(np.array([1] * 30 + [2] * 9)) == (
        "at least 25 users, and half of all users, must have 2 behaviours or more, and 9 of 39 have them"
    )
    assert lacking(np.array([10] * 24)) == (
        "at least 25 users must have 7 behaviours or more, and 24 of 24 have them"
    )
    assert lacking(np.array([2] * 25), n_query=1) == ""
