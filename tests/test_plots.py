"""Figures: whatever a table holds, they draw, and say what they should."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fsl import pictures, plots

ODD = [r"$\frac{1}$", "$x$", "a\x1b[31mb\x00", "手机 🙂", "x" * 400, "<b>&", "%", "^_{}\\"]


@pytest.fixture
def ax():
    mpl.use("Agg")
    plots.set_style()
    figure = Figure(figsize=(4, 3))
    yield figure.subplots()
    figure.canvas.draw()  # text is laid out, and formulas would be parsed, only now


def test_a_name_is_cut_and_inert():
    assert plots.plain("a\x1b$b$\x00") == r"a \$b\$ "
    assert plots.plain("x" * 400) == "x" * 39 + "…"
    assert plots.plain("one\ntwo") == "one\ntwo"


def test_odd_scenes_are_drawn(ax):
    sizes = pd.Series(np.arange(1, 41))
    by = pd.Series([ODD[i % len(ODD)] for i in range(40)])
    pictures.behaviours_per_user(sizes, by, ax)
    assert {label.get_text() for label in ax.get_yticklabels()} == {plots.plain(x) for x in ODD}


def test_an_episode_shows_each_behaviour_and_brackets_what_is_hidden(ax):
    lines = [{"who": name, "support": [(name, 1.0)], "query": [(name, 5.0)]} for name in ODD]
    pictures.episode_picture(lines, ax, (1.0, 5.0))
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("1") == texts.count("[5]") == len(ODD)


def test_phones_with_odd_names_have_a_map(ax):
    places = np.random.default_rng(0).normal(size=(len(ODD), 2))
    pictures.phone_map(places, ODD, np.arange(len(ODD)), "points", ax)
    assert len(ax.texts) > 0


def test_a_learner_above_the_ceiling_is_named_at_the_edge(ax):
    table = pd.DataFrame({
        "learner": ["a", "a", "b", "b", "c", "c"], "n_shots": [1, 5] * 3,
        "value": [9.0, 2.0, 1.5, 1.0, 1.2, 1.1],
    })  # fmt: skip
    table = table.assign(low=table["value"] - 0.1, high=table["value"] + 0.1)
    plots.error_vs_shots(table, ax, ["a", "b"], "RMSE", ceiling=3)
    texts = [text.get_text() for text in ax.texts]
    assert "↑ a: 9.00" in texts
    assert {"a", "b"} <= set(texts)
    assert "c" not in texts, "only highlighted learners are named"
    assert ax.get_ylim()[1] == 3


def test_the_message_says_simulated(ax):
    plots.message(ax, "One thing", simulated=True)
    assert ax.get_title(loc="left") == "One thing (simulated)"
