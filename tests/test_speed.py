"""`fsl speed`: contenders do the same, numbers keep their schema, sentences are clear. No clock is judged."""

import gc
import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from fsl import cli
from fsl.speed import run as speed_run
from fsl.speed.bars import BARS, judge
from fsl.speed.contenders import REFERENCE, Contender, contenders
from fsl.speed.measure import cleared, flops_of, gradient_error, interleaved, quartiles
from fsl.speed.memory import in_child, peak_bytes, peaks
from fsl.speed.run import run
from fsl.speed.table import as_markdown, as_text
from fsl.speed.works import Recommender, make_works

WORKS = {work.key: work for work in make_works(torch.float64)}
EAGER = [one for one in contenders() if not one.compiles]
ROW = {
    "work", "n_steps", "meta_batch", "contender", "status", "note", "ms", "quartiles_ms", "rounds",
    "ratio_to_higher", "peak_mib", "flop_share", "first_call_seconds", "gradient_error",
}  # fmt: skip
MACHINE = {"cpu", "threads", "torch", "higher", "python", "date", "load", "clock", "matmul_gflops"}


def command(capsys, *words) -> tuple[int, str, str]:
    try:
        code = cli.main(["speed", *map(str, words)])
    except SystemExit as stop:
        code = stop.code
    return (code, *capsys.readouterr())


def gradient(work, contender, n_tasks: int) -> list[torch.Tensor]:
    cleared(contender.step(work, work.episode(n_tasks)), work.parameters)()
    return [p.grad for p in work.parameters]


def row_of(contender: str = REFERENCE, **given) -> dict:
    """One timed row of W1."""
    numbers = {"ms": 20.0, "quartiles_ms": [19.0, 21.5], "rounds": 9, "ratio_to_higher": 1.0}
    about = {"status": "timed", "note": None, "first_call_seconds": None, "gradient_error": 0.0}
    place = {"work": "W1", "n_steps": 1, "meta_batch": 25, "contender": contender}
    return {**place, **about, **numbers, "peak_mib": 12.4, "flop_share": 0.031, **given}


def canned(*rows: dict) -> dict:
    machine = {
        "cpu": "Abacus", "threads": 1, "torch": "2.13.0", "higher": "0.2.1", "python": "3.11.7",
        "date": "2026-01-02T03:04:05+00:00", "load": 0.25, "clock": "CPU",
        "matmul_gflops": 101.6,
    }  # fmt: skip
    works = [{"name": "W1", "n_steps": 1, "about": "sine waves"}]
    return {"schema": 1, "machine": machine, "works": works, "rows": rows, "bars": judge(rows)}


@pytest.mark.parametrize("key", WORKS)
def test_contenders_have_the_same_meta_gradient(key):
    work, n_tasks = WORKS[key], 2 if key[0] == "W3" else 3
    expected = gradient(work, EAGER[0], n_tasks)
    assert all(float(g.abs().max()) > 0 for g in expected)
    for contender in EAGER[1:]:
        for found, wanted in zip(gradient(work, contender, n_tasks), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    assert not any(p.grad is not None for p in work.net.parameters() if not p.requires_grad)


def test_chunks_have_the_same_meta_gradient():
    work = WORKS["W1", 1]
    known = {one.name: one for one in EAGER}
    chosen = [known[name] for name in (REFERENCE, "batched", "batched, all at once")]
    assert [one.differs(work, 33) for one in chosen] == [True, True, True]
    assert not chosen[-1].differs(work, 32)
    expected, *others = (gradient(work, one, 35) for one in chosen)
    assert all(gradient_error(found, expected) < 1e-10 for found in others)


def test_works_are_what_they_say():
    w2 = WORKS["W2", 5]
    support, query = w2.episode(40)
    sizes = support.mask.sum(-1)
    assert (int(sizes.min()), int(sizes.max())) == (10, 20)
    assert torch.equal(support.mask, torch.arange(20) < sizes[:, None])
    assert (support.inputs.shape, query.inputs.shape) == ((40, 20, 8), (40, 10, 8))
    assert sum(p.numel() for p in w2.parameters) == 257 * 64 + 65 * 64 + 65
    assert sum(p.numel() for p in Recommender().tables.parameters()) == 8 * 1000 * 32
    torch.testing.assert_close(w2.head(w2.before(query.inputs[0])), w2.net(query.inputs[0]))
    assert w2.net(query.inputs[0]).shape == (10,)
    support, query = WORKS["W3", 1].episode(2)
    assert (support.inputs.shape, query.inputs.shape) == ((2, 5, 28, 28), (2, 25, 28, 28))
    assert query.targets[1].bincount().tolist() == [5] * 5
    assert [work.key for work in make_works()] == list(WORKS)
    assert torch.equal(w2.episode(3).support.inputs, w2.episode(3).support.inputs)


def test_flops_by_hand():
    layer = nn.Linear(3, 5, bias=False)
    x = torch.rand(7, 3, requires_grad=True)
    assert flops_of(lambda: layer(x)) == 2 * 7 * 3 * 5
    assert flops_of(lambda: layer(x).sum().backward()) == 3 * 2 * 7 * 3 * 5


def test_gradient_error():
    a, b = torch.tensor([3.0, 4.0]), torch.tensor([0.0])
    assert gradient_error([a, b], [a, b]) == 0
    assert gradient_error([2 * a, b], [a, b]) == pytest.approx(1, rel=2e-3)
    assert gradient_error([a, b + 5e-6], [a, b]) == pytest.approx(1e-3)
    assert gradient_error([a, None], [a, b]) == gradient_error([a, b / 0], [a, b]) == math.inf


def test_rounds_take_turns_without_garbage_collection():
    seen = []
    steps = {name: lambda name=name: seen.append((name, gc.isenabled())) for name in "ab"}
    seconds = interleaved(steps, 3, least=0)
    assert seen == [(name, False) for name in "abbaab"]
    assert gc.isenabled()
    assert {name: len(found) for name, found in seconds.items()} == {"a": 3, "b": 3}
    assert quartiles([0.001, 0.002, 0.003, 0.004, 0.005]) == (2, 3, 4)
    assert quartiles([0.5]) == (500, 500, 500)


def test_a_contender_that_disagrees_is_an_error_and_not_timed(monkeypatch):
    monkeypatch.setattr(speed_run, "peaks", lambda *_: pytest.fail("memory=False means it"))

    def half(work, episode):
        whole = EAGER[0].step(work, episode)

        def step():
            whole()
            work.parameters[-1].grad *= 0.5

        return step

    def falls(work, episode):
        raise TypeError("no such thing\nat all")

    chosen = [EAGER[0], Contender("half", half), Contender("falls", falls)]
    found = run([(WORKS["W1", 1], [2])], chosen, repeats=1, memory=False)
    good, wrong, fallen = found["rows"]
    assert (good["status"], wrong["status"], fallen["status"]) == ("timed", "error", "error")
    assert wrong["ms"] is wrong["ratio_to_higher"] is None
    assert wrong["note"] == "its meta-gradient is 5.0e-01 from that of higher, relative"
    assert fallen["note"] == "fell with TypeError: no such thing"
    assert "half                       error: its meta-gradient is 5.0e-01" in as_text(found)
    alone = run([(WORKS["W1", 1], [2])], [replace(chosen[2], name=REFERENCE), EAGER[1]], 1, False)
    assert [row["status"] for row in alone["rows"]] == ["error"]


def test_what_takes_too_long_is_not_run(monkeypatch):
    monkeypatch.setattr(speed_run, "TOO_LONG", 0.0)
    found = run([(WORKS["W1", 1], [2])], EAGER[:3], repeats=1, memory=False)
    assert [row["status"] for row in found["rows"]] == ["timed", "not run"]
    assert found["rows"][1]["note"].startswith("takes 0.0 s per call")


def test_json_has_the_documented_schema(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(speed_run, "peaks", lambda key, wanted, threads: {2: {REFERENCE: 1.5}})
    path = tmp_path / "speed.json"
    words = ["--quick", "--works", "W1", "--meta-batches", "2,3,2", "--repeats", 1]
    code, out, err = command(capsys, *words, "--json", path)
    assert code == 0
    found = json.loads(path.read_text("utf-8"))
    assert out == as_text(found) + "\n"
    assert set(found) == {"schema", "machine", "works", "rows", "bars"}
    assert set(found["machine"]) == MACHINE
    assert found["machine"]["threads"] == 1
    assert [(work["name"], work["n_steps"]) for work in found["works"]] == [("W1", 1), ("W1", 5)]
    assert err.splitlines()[0] == "fsl: W1, 1 inner, meta-batch 2 …"
    for row in found["rows"]:
        assert set(row) == ROW
        assert row["status"] == "timed"
        low, high = row["quartiles_ms"]
        assert 0 < low <= row["ms"] <= high
        assert row["gradient_error"] < speed_run.TOLERANCE
        assert row["flop_share"] > 0
        known = (row["meta_batch"], row["contender"]) == (2, REFERENCE)
        assert row["peak_mib"] == (1.5 if known else None)
    assert {row["meta_batch"] for row in found["rows"]} == {2, 3}
    reference = [row for row in found["rows"] if row["contender"] == REFERENCE]
    assert [row["ratio_to_higher"] for row in reference] == [1] * 4
    assert all(bar["met"] is None for bar in found["bars"])


def test_json_in_place_of_the_table(capsys, monkeypatch):
    found = canned(row_of())
    monkeypatch.setattr("fsl.speed.cli._measured", lambda *_: found)
    code, out, _ = command(capsys, "--json")
    assert code == 0
    assert json.loads(out)["rows"] == json.loads(json.dumps(found["rows"]))
    assert command(capsys, "--markdown")[1] == as_markdown(found) + "\n"


def test_a_run_that_has_errors_is_one(capsys, monkeypatch):
    found = canned(row_of(status="error", note="fell", ms=None))
    monkeypatch.setattr("fsl.speed.cli._measured", lambda *_: found)
    code, out, _ = command(capsys)
    assert (code, out) == (1, as_text(found) + "\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--works", "W1,W9"], "--works: no work is called 'W9', expected some of W1, W2, W3."),
        (["--works", ""], "--works: no work is called '', expected some of W1, W2, W3."),
        (["--meta-batches", "8,0"], "--meta-batches: '8,0', expected whole numbers above 0, such as 1,8,32."),
        (["--meta-batches", ""], "--meta-batches: '', expected whole numbers above 0, such as 1,8,32."),
        (["--repeats", "0"], "--repeats: '0', expected a whole number above 0."),
        (["--threads", "1,2"], "--threads: '1,2', expected a whole number above 0."),
        (["--json", "--markdown"], "--json and --markdown both print: give --json a file, or leave one away."),
        (["--json", "nowhere/at/all.json"], "--json 'nowhere/at/all.json': expected a file in a folder that is there."),
        (["tasks", "--rows", "1,20000"], "--rows '1,20000': expected 10,000 to 1,000,000,000."),
        (["tasks", "--rows", "9" * 13], "--rows '9999999999999': expected 10,000 to 1,000,000,000."),
        (["recommend", "--items", "9" * 13], "--items 9,999,999,999,999: expected at most 1,000,000."),
    ],
)  # fmt: skip
def test_bad_options_are_two(capsys, words, said):
    assert command(capsys, *words) == (2, "", f"fsl: {said}\n")


def test_help_imports_nothing_heavy():
    code = "import sys, fsl.cli\ntry: fsl.cli.main(['speed', '--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'numpy', 'higher'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_memory_of_a_step_alone():
    n_mib = 64
    assert in_child(lambda: torch.ones(n_mib, 2**18)) - in_child(lambda: None) == pytest.approx(
        n_mib * 2**20, rel=0.1
    )
    assert in_child(lambda: 1 / 0) is None
    assert peak_bytes() > 50 * 2**20


def test_peaks_of_contenders():
    found = peaks(("W1", 1), {1: [REFERENCE], 64: ["batched, all at once"]}, threads=1)
    assert set(found) == {1, 64}
    assert 0 < found[1][REFERENCE] < found[64]["batched, all at once"] < 500


def test_tables():
    found = canned(
        row_of(),
        row_of("batched", ms=1.256, quartiles_ms=[1.2, 1.31], ratio_to_higher=15.92, peak_mib=None),
        row_of("batched, compiled", ms=0.5, ratio_to_higher=40.0, first_call_seconds=7.5),
        row_of("loop", meta_batch=512, status="not run", note="takes 2.5 s per call", ms=None),
    )
    text = as_text(found).splitlines()
    assert text[0] == (
        "Abacus, 1 thread, torch 2.13.0, higher 0.2.1, Python 3.11.7, 2026-01-02T03:04:05+00:00, load 0.2; "
        "CPU time; matrix product 102 GFLOP/s"
    )
    squeezed = [" ".join(line.split()) for line in text]
    for line in ("W1, 1 step: sine waves", "meta-batch 25", "higher 20.0 19.0 to 21.5 1.00 12 3.1%",
                 "batched 1.26 1.20 to 1.31 15.92 3.1%", "loop not run: takes 2.5 s per call",
                 "batched, compiled 0.500 19.0 to 21.5 40.00 12 3.1% first call 7.5 s",
                 "met W1, 1 step, meta-batch 25: batched at least 15 x higher, measured 15.92",
                 "NOT MET W1, 1 step, meta-batch 25: batched, compiled at least 50 x higher, measured 40.00",
                 "not measured W3, 1 step, meta-batch 4: auto at least 0.95 x higher"):  # fmt: skip
        assert line in squeezed
    lines = as_markdown(found).splitlines()
    assert "| meta-batch | 25 | 512 |" in lines
    assert "| batched | 1.26 (15.9) |  |" in lines
    assert "| loop |  | not run |" in lines
    assert lines[-1].startswith("- not measured  W3")


def test_bars_are_ratios_of_medians():
    rows = [row_of(ms=30.0), row_of("batched", ms=2.0), row_of("batched, compiled", ms=0.61)]
    first, second, *others = judge(rows)
    assert (first["measured"], first["met"]) == (15.0, True)
    assert (round(second["measured"], 1), second["met"]) == (49.2, False)
    assert len(others) == len(BARS) - 2
    assert all(bar["measured"] is bar["met"] is None for bar in others)


def test_the_way_from_a_table_to_an_episode_is_measured_in_a_fresh_process():
    from fsl.speed import tasks

    said = []
    found = tasks.run((20_000, 30_000), said.append)
    assert said == ["20,000 rows", "30,000 rows"]
    assert [row["n_users"] for row in found["rows"]] == [200, 300]
    # The few interactions that fell on one user, item and moment twice are read once.
    assert all(
        0.95 * n < row["n_rows"] <= n
        for n, row in zip((20_000, 30_000), found["rows"], strict=True)
    )
    assert all(row[part] > 0 for row in found["rows"] for part in tasks.PARTS)
    assert all(50 < row["peak_mib"] < 8_192 for row in found["rows"])
    assert [bar["met"] for bar in found["bars"]] == [True]
    told = tasks.as_text(found)
    assert "200" in told
    assert "at most 8: met" in told


def test_a_measured_process_that_falls_is_told(tmp_path):
    from fsl.speed.memory import in_fresh_process

    with pytest.raises(RuntimeError, match="fell"):
        in_fresh_process("fsl.speed.tasks", str(tmp_path / "nothing"))
