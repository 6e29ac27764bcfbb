"""Figures of how metrics fool: they draw what they are given, and say it."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fsl.ranking import fooling_plots


@pytest.fixture
def ax():
    mpl.use("Agg")
    figure = Figure(figsize=(5, 3))
    yield figure.subplots()
    figure.canvas.draw()


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("pair", [(0.9, 0.05), (0.05, 0.9), (0.1, 0.1)])
def test_chance_shows_both_values_the_lower_one_to_the_left(ax, pair):
    fooling_plots.chance({"hit $@$ 3": pair, "other": (1.0, 0.0)}, ax)
    assert sorted(texts(ax)[:2]) == sorted(f"{value:.2f}" for value in pair)
    left = [text for text in ax.texts[:2] if text.get_ha() == "right"]
    assert [text.get_text() for text in left] == [f"{min(pair):.2f}"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"hit \$@\$ 3", "other"]
    assert len(ax.get_legend().get_texts()) == 2


def test_two_orders_has_one_scale_and_a_diagonal(ax):
    fooling_plots.two_orders(np.array([0.5, 1.0]), np.array([0.5, 2.0]), ax, "stars")
    assert ax.get_xlim() == ax.get_ylim() == (0, pytest.approx(2.1))
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 2]
    assert "stars" in ax.get_xlabel()


def test_places_put_the_best_on_top_and_show_values(ax):
    values = pd.DataFrame({"one": [0.2, 0.9], "two": [0.7, 0.1]}, index=["a", "b"])
    fooling_plots.places_by_test(values, ax)
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2, 1], [1, 2]]
    assert ax.yaxis_inverted()
    assert texts(ax).count("a") == texts(ax).count("b") == 2
    assert {"0.200", "0.700", "0.900", "0.100"} <= set(texts(ax))
