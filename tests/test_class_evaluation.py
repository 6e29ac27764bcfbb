"""Accuracy by hand, the assignment against brute force, and records that the comparison reads."""

from itertools import permutations

import pytest
import torch
from made import seeded

from fsl import Episode, Examples
from fsl.class_evaluation import accuracy, judge_classes, one_to_one_accuracy
from fsl.compare import paired_difference, summarise


class Fixed:
    """Says the same scores whatever it is shown."""

    def __init__(self, scores):
        self.scores = scores

    def predict(self, support, query_inputs):
        return self.scores


def test_accuracy_counts_real_rows_only():
    scores = torch.tensor([[[2.0, 1.0], [0.0, 1.0], [5.0, 0.0]]])
    targets = torch.tensor([[0, 0, 1]])
    assert accuracy(scores, targets).tolist() == [pytest.approx(1 / 3)]
    assert accuracy(scores, targets, torch.tensor([[True, True, False]])).tolist() == [0.5]


def test_the_first_of_equals_counts():
    assert accuracy(torch.zeros(1, 2, 3), torch.tensor([[0, 2]])).tolist() == [0.5]


def test_one_to_one_is_the_best_of_all_assignments():
    scores = torch.randn(6, 4, 4, generator=seeded(1))
    targets = torch.stack([torch.randperm(4, generator=seeded(t)) for t in range(6)])
    rows = torch.arange(4)
    for task, target, found in zip(
        scores, targets, one_to_one_accuracy(scores, targets), strict=True
    ):
        best = max(permutations(range(4)), key=lambda order: task[rows, list(order)].sum())
        assert found == (torch.tensor(best) == target).double().mean()


def test_one_to_one_wants_a_row_for_each_class():
    with pytest.raises(ValueError, match=r"one row for each class wanted, got scores \[1, 3, 2\]"):
        one_to_one_accuracy(torch.zeros(1, 3, 2), torch.zeros(1, 3, dtype=torch.long))


def episode_of(n_tasks=8, n_way=4):
    targets = torch.arange(n_way).repeat(n_tasks, 1)
    side = Examples(torch.zeros(n_tasks, n_way, 1), targets)
    return Episode(side, side)


def test_records_are_read_by_the_comparison_and_carry_rulers():
    episode = episode_of()
    good = torch.eye(4).repeat(8, 1, 1)
    records = judge_classes(
        {"good": Fixed(good), "bad": Fixed(-good)}, episode, n_shots=1, partition="runs"
    )
    table = summarise(records, "accuracy").set_index("learner")["value"]
    expected = {"good": 1, "bad": 0, "random": 0.25, "constant": 0.25, "oracle": 1}
    assert table.to_dict() == pytest.approx(expected)
    assert paired_difference(records, "good", "bad", "accuracy", 1).value == 1
    assert set(records["partition"]) == {"runs"}


def test_a_learner_may_not_be_called_like_a_ruler():
    with pytest.raises(ValueError, match="the names oracle are the rulers' own"):
        judge_classes({"oracle": Fixed(torch.zeros(8, 4, 4))}, episode_of(), 1)


def test_a_row_without_an_answer_is_wrong():
    scores = torch.tensor([[[float("nan"), 1.0], [-torch.inf, -torch.inf], [2.0, 1.0]]])
    assert accuracy(scores, torch.zeros(1, 3, dtype=torch.long)).tolist() == [pytest.approx(1 / 3)]


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 1, 2), (2, 3)])
def test_scores_that_would_broadcast_are_refused(shape):
    with pytest.raises(ValueError, match="scores are"):
        accuracy(torch.zeros(shape), torch.zeros(2, 3, dtype=torch.long))


def test_targets_that_are_no_classes_are_refused():
    with pytest.raises(ValueError, match=r"targets must be class numbers, got torch.float32"):
        accuracy(torch.zeros(1, 2, 2), torch.zeros(1, 2))
