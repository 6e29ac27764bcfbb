"""Figures: whatever a table holds, they draw, and say what they should."""

import matplotlib as mpl
import matplotlib.font_manager
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


def test_a_chinese_font_that_came_after_matplotlibs_list_is_taken_in(monkeypatch, tmp_path):
    manager = plots.font_manager.fontManager
    plain = [font for font in manager.ttflist if font.name == "DejaVu Sans"]
    files = [str(tmp_path / name) for name in ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Black.ttc")]
    files += [str(tmp_path / "Other-Regular.ttf"), str(tmp_path / "simhei.ttf")]

    def taken(path):
        if "simhei" in path:
            raise RuntimeError("no font")
        manager.ttflist.append(mpl.font_manager.FontEntry(fname=path, name="Noto Sans CJK JP"))

    monkeypatch.setattr(manager, "ttflist", list(plain))
    monkeypatch.setattr(plots.font_manager, "findSystemFonts", lambda: files)
    monkeypatch.setattr(manager, "addfont", taken)
    assert plots._families() == ["DejaVu Sans", "Noto Sans CJK JP"]
    assert [font.fname for font in manager.ttflist[len(plain) :]] == files[:1]


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


def test_log_curves_have_two_log_axes_a_band_where_there_is_one_and_a_legend(ax):
    bare = pd.DataFrame({"x": [1.0, 10.0], "value": [3.0, 0.3]})
    lines = {name: bare for name in ODD} | {"last": bare.assign(low=0.1, high=4.0)}
    plots.log_curves(lines, ax, "seconds", "error", dashed=["last"])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(ax.collections) == 1
    assert [line.get_linestyle() for line in ax.lines] == ["-"] * len(ODD) + ["--"]
    assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == len(lines)
    plots.log_curves(lines, ax, "steps", "error", log_x=False)
    assert ax.get_xscale() == "linear"


def test_values_to_compare_with_are_named_with_their_unit_and_dashed_apart(ax):
    values = {name: float(i) for i, name in enumerate(ODD[:5])}
    plots.marked_values(values, ax, "as reported", " %")
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [f"{plots.plain(name)}, {i} %" for i, name in enumerate(values)]
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in ax.lines}) == 5


def test_an_interval_is_written_in_the_form_asked_for(ax):
    row = pd.Series({"value": 12.34, "low": 10.0, "high": 15.0})
    plots.intervals({"a": row}, ax, "errors, %", form=".1f")
    assert [text.get_text() for text in ax.texts] == ["12.3"]


def test_rows_of_images_are_drawn_ink_dark_with_their_captions(ax):
    images = np.random.default_rng(0).random((3, 5, 5))
    pictures.image_rows({"support": images, r"$\frac$": images[:1]}, ax, {"support": ODD[:3]})
    assert len(ax.images) == 4
    assert ax.images[0].cmap(1.0)[:3] == (0, 0, 0), "ink, 1, is black"
    assert [text.get_text() for text in ax.texts] == [plots.plain(x) for x in ODD[:3]]
    top = ax.images[0].get_extent()
    assert top[2] > top[3], "the first row of pixels is on top, as the axis points down"
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_an_embedding_map_tells_classes_apart_by_colour_marker_and_image(ax):
    rng = np.random.default_rng(0)
    labels = np.arange(7).repeat(4)
    pictures.embedding_map(rng.normal(size=(28, 2)), labels, rng.random((7, 9, 9)), ax)
    assert len({line.get_color() for line in ax.lines}) == 7
    assert len({line.get_marker() for line in ax.lines}) == 7
    assert len(ax.artists) == 7
    assert [len(line.get_xdata()) for line in ax.lines] == [4] * 7


def test_marks_by_row_keep_a_name_s_marker_and_hide_none(ax):
    table = pd.DataFrame({"b": [10.0, 20.0], "a": [10.0, 30.0]}, index=ODD[:2])
    pictures.marks_by_row(table, ax, "errors, %", ["a", "b", "c"])
    alone = ax.figure.add_subplot()
    pictures.marks_by_row(table[["b"]], alone, "errors, %", ["a", "b", "c"])
    of_b, again = ax.lines[0], alone.lines[0]
    assert (of_b.get_color(), of_b.get_marker()) == (again.get_color(), again.get_marker())
    assert of_b.get_marker() != ax.lines[1].get_marker()
    assert of_b.get_ydata()[0] != ax.lines[1].get_ydata()[0], "equal values lie side by side"
    assert [label.get_text() for label in ax.get_yticklabels()] == [plots.plain(x) for x in ODD[:2]]
