"""An answer's parts in words: what everybody thinks, what the newcomer's own behaviours and columns add. Exact sums."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fsl.recommending.side import Answer

LEAST = 0.005  # what would be shown as 0.00


class Reasons(NamedTuple):
    """parts: [n_rows, n_parts], which sum to `clipped` [n_rows]: the start, each column's, each behaviour's, and what
    the ends of the scale take away. labels: [n_parts]."""

    parts: Tensor
    labels: list[str]
    clipped: Tensor


def reasons(
    answer: Answer,
    rows: Tensor,
    columns: Sequence[str],
    behaviours: Sequence[str],
    scale: tuple[float, float] | None,
) -> Reasons:
    """The parts of some rows. columns: of each feature, where content adds up by feature; behaviours: [K], in words."""
    content, labels = _by_column(answer.content[rows], columns)
    mean = answer.mean[rows]
    clipped = mean if scale is None else mean.clamp(*scale)
    ends = (clipped - mean)[:, None]
    parts = torch.cat([answer.start[rows, None], content, answer.support[rows], ends], dim=1)
    return Reasons(parts, ["start", *labels, *behaviours, "end of the scale"], clipped)


def _by_column(content: Tensor, columns: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Features of one column together; the features that do not add up are one part, called "attributes"."""
    if content.shape[1] == 0:
        return content, []
    if content.shape[1] != len(columns):
        return content.sum(1, keepdim=True), ["attributes"]
    names = list(dict.fromkeys(columns))
    where = torch.tensor([names.index(column) for column in columns])
    found = torch.zeros(len(content), len(names), dtype=content.dtype)
    return found.index_add_(1, where, content), names


def in_words(
    found: Reasons, row: int, about: dict[str, str], n_columns: int, most: int, near: bool
) -> str:
    """One row: where it starts, its `most` strongest parts, and all else together; the numbers sum to the mean.

    about: a column's name -> how it is said; "start" -> how the start is, with a place for its number. near: reasons
    are likenesses, so those that speak for the row come first.
    """
    parts = found.parts[row].tolist()
    inner = range(1, len(parts) - 1)
    strongest = sorted(inner, key=lambda j: -parts[j] if near else -abs(parts[j]))
    shown = [j for j in strongest[:most] if (parts[j] if near else abs(parts[j])) >= LEAST]
    said = [about["start"].format(parts[0])] if parts[0] else []
    said += [
        f"{_because(found.labels[j], about, j <= n_columns, near)}: {parts[j]:+.2f}" for j in shown
    ]
    rest = sum(parts[j] for j in inner if j not in shown)
    said += [f"all else: {rest:+.2f}"] if abs(rest) >= LEAST else []
    said += [f"the scale ends there: {parts[-1]:+.2f}"] if abs(parts[-1]) >= LEAST else []
    return "; ".join(said)


def _because(label: str, about: dict[str, str], is_column: bool, near: bool) -> str:
    if is_column:
        return about.get(label, label)
    return f"like {label}" if near else f"because {label}"
