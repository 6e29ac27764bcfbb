"""A shop without ratings gets its verdict by the same command; what it will cost is told before; impossible ones are
refused in one sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from fsl import InputError
from fsl.cli import main
from fsl.cold_start import estimates
from fsl.ranking.sizes import Size
from fsl.reporting import matching, plan, told
from fsl.reporting.inputs import Data
from fsl.speed.verdict import as_text, fitted, invented

RATED, BARE = Data("rated", "rated", False), Data("bare", "bare", False, has_target=False)


def write_strangers_folder(folder, n_users: int = 160, seed: int = 0, target: bool = False):
    """Nothing but who took what, under other names, without times or a table of users."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(n_users):
        taken = rng.choice(40, rng.integers(3, 9), replace=False)
        rows += [(f"kunde {user}", f"artikel {i}") for i in taken]
    table = pd.DataFrame(rows, columns=["Kunde", "Artikel"])
    if target:
        table["Sterne"] = rng.integers(1, 6, len(table))
    folder.mkdir(parents=True)
    table.to_csv(folder / "interactions.csv", index=False)
    return folder


NAMED = ("--column", "user=Kunde", "--column", "item=Artikel")


def stems(names=(), data=(RATED,), explicit=None) -> list[tuple[str, list]]:
    chosen = matching.with_stand_ins(names, data, names if explicit is None else explicit)
    known = {}
    return [
        (name, [item.label for item in matching.data_of(name, known, data, explicit or names)])
        for name in chosen
    ]


@pytest.fixture
def notebooks_take_data(monkeypatch):
    real = matching.data_of

    def taking(name, known, asked, explicit=None):
        return real(name, {"data": None, **known}, asked, explicit)

    monkeypatch.setattr(matching, "data_of", taking)


def test_a_shop_without_target_is_served_by_the_stand_in(notebooks_take_data):
    first, second = "04_cold_start", "04b_without_ratings"
    assert matching.stand_in(first) == second
    assert stems([first]) == [(first, ["rated"])]
    assert stems([first], [BARE]) == [(second, ["bare"])]
    assert stems([first], [RATED, BARE]) == [(first, ["rated"]), (second, ["bare"])]
    assert stems([second], [RATED]) == [(second, ["rated"])], "who asks for it by name gets it"
    assert matching.with_stand_ins(["01_episodes", first, second], [RATED], []) == [
        "01_episodes",
        first,
    ]
    assert matching.with_stand_ins([first, second], [], []) == [first, second], (
        "the report's own run"
    )


def test_where_nothing_stands_in_it_is_refused_by_name_and_left_out_of_all(notebooks_take_data):
    with pytest.raises(
        InputError, match=r"^01_episodes needs a column rating or label, and bare has none$"
    ):
        stems(["01_episodes"], [BARE])
    assert matching.data_of("01_episodes", {}, [BARE], []) == []


def test_impossible_shops_are_refused_before_anything_runs(tmp_path, capsys):
    folder = write_strangers_folder(tmp_path / "kiosk", n_users=8)
    assert main(["report", "--data", str(folder), *NAMED, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "kiosk: no cold-start verdict is possible: " in said
    assert "at least 25 are needed" in said
    assert not (tmp_path / "out").exists()
    once = tmp_path / "once"
    once.mkdir()
    rows = "".join(f"u{n},i{n % 7}\n" for n in range(200))
    (once / "interactions.csv").write_text("user,item\n" + rows)
    assert main(["report", "--data", str(once), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith(
        "no cold-start verdict is possible with a median of 1 behaviour per user; 0 of 200 users have 4 or more"
    )


def test_a_folder_is_reported_by_its_verdict_alone(tmp_path):
    options = {"columns": {"user": "Kunde", "item": "Artikel"}}
    bare = str(write_strangers_folder(tmp_path / "bare"))
    request = plan.Request(data=[bare], read_options=options)
    (job,) = plan.plan(request, plan.notebooks_folder())
    assert job.stem == "04b_without_ratings--bare"
    rated = str(write_strangers_folder(tmp_path / "rated", target=True))
    options = {"columns": {**options["columns"], "rating": "Sterne"}}
    (job,) = plan.plan(plan.Request(data=[rated], read_options=options), plan.notebooks_folder())
    assert job.stem == "04_cold_start--rated"


def test_what_it_costs_is_told_before(tmp_path, capsys):
    options = {"columns": {"user": "Kunde", "item": "Artikel"}}
    bare = str(write_strangers_folder(tmp_path / "bare"))
    jobs = plan.plan(
        plan.Request(data=[bare], read_options=options, size="quick"), plan.notebooks_folder()
    )
    told.tell_of_folders(jobs)
    first, second = capsys.readouterr().err.splitlines()
    assert (
        first
        == "bare has neither rating nor label: 04b_without_ratings takes the place of 04_cold_start"
    )
    size = jobs[0].data.size
    assert second == (
        f"04b_without_ratings--bare: {size.n_rows:,} interactions, 160 users, 40 items: about "
        f"{estimates.rounded(estimates.estimate('04b_without_ratings', size)[0])} and "
        f"{estimates.estimate('04b_without_ratings', size)[1]:.1f} GiB on one core at report size, less with --quick"
    )


def test_estimates_grow_and_are_said_in_round_numbers():
    small, large = Size(10_000, 1_000, 300, 10**5), Size(5_000_000, 10**5, 20_000, 10**9)
    for page in estimates.PAGES:
        less, more = (estimates.estimate(page, size) for size in (small, large))
        assert all(a < b for a, b in zip(less, more, strict=True))
    assert [estimates.rounded(m) for m in (0.2, 1.4, 7.6, 89, 150)] == [
        "1 minute", "1 minute", "8 minutes", "89 minutes", "2.5 hours",
    ]  # fmt: skip
    with pytest.raises(KeyError):
        estimates.estimate("01_episodes", small)


def test_the_benchmark_finds_the_constants_that_made_its_rows():
    truth = {"seconds": (5.0, 20.0, 3.0, 10.0, 30.0, 2.0), "gib": (0.5, 0.2, 0.0, 0.1, 0.4, 0.3)}
    sizes = [Size(10**4 * n, 300 * n * n, 900 * n, 10**5 * n**3) for n in range(1, 9)]
    rows = [
        {"size": [s.n_rows, s.n_subjects, s.n_objects, s.n_pairs],
         **{part: float(np.dot(w, s.terms())) for part, w in truth.items()}}
        for s in sizes
    ]  # fmt: skip
    found = fitted(rows)
    for row, size in zip(rows, sizes, strict=True):
        assert np.dot(found["seconds"], size.terms()) == pytest.approx(row["seconds"], rel=1e-6)
    page = estimates.PAGES[1]
    machine = {"cpu": "x", "threads": 1, "torch": "2", "higher": "-", "python": "3", "load": None,
               "date": "today", "clock": "CPU", "matmul_gflops": 1.0}  # fmt: skip
    rows = [{"page": page, **row, "told_seconds": 60.0, "told_gib": 1.0} for row in rows]
    text = as_text({"machine": machine, "rows": rows, "constants": {page: found}})
    assert f"{page} seconds: (5.00" in text


def test_an_invented_shop_is_of_the_size_that_is_asked_for():
    shop = invented(3_000, 300, 60, rated=True)
    assert shop.interactions["user"].nunique() == 300
    assert 1_500 < len(shop.interactions) <= 3_200
    assert shop.target == "rating"
    assert invented(3_000, 300, 60, rated=False).target is None


def test_a_strangers_folder_gets_its_verdict_without_reading_code(tmp_path, capsys):
    folder, out = write_strangers_folder(tmp_path / "laden"), tmp_path / "out"
    words = ["report", "--data", str(folder), *NAMED, "--quick", "--out", str(out)]
    small = [word for p in ("max_tasks=40", "effort=0.3", "shots=[0, 1]") for word in ("-p", p)]
    assert main([*words, *small]) == 0, capsys.readouterr().err
    sidecar = json.loads((out / "04b_without_ratings--laden.json").read_text())
    assert sidecar["status"] == "ok"
    assert "set ranker" in sidecar["headline"]["message"]
    page = (out / "04b_without_ratings--laden.html").read_text()
    assert "new items are not judged: which item is new needs a column timestamp" in page
    assert "new users, whole catalogue, 32 test tasks: " in page
    records = pd.read_parquet(out / "04b_without_ratings--laden.parquet")
    assert {"new users, whole catalogue", "takes, others alike", "takes, others as popular"} == set(
        records["partition"]
    )
    assert set(records["n_shots"]) == {0, 1}
