"""What a run says on the terminal before it begins and when it is over. Runs and writes nothing."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fsl.cold_start.estimates import PAGES
from fsl.cold_start.estimates import in_words as in_words_of_cost
from fsl.reading.sentences import inert
from fsl.reporting import index
from fsl.reporting.failure import sentence, why_not_run
from fsl.reporting.page import duration
from fsl.reporting.plan import Job
from fsl.reporting.presets import PRESETS, in_words

SIZES = ("quick", "report", "full")


def warn_of_full(planned: Sequence[Job]) -> None:
    """Before a run that was asked for at full size: which notebooks run long, and about how many minutes."""
    long = [job for job in planned if job.size == "full"]
    told = [
        f"{job.stem} {in_words(PRESETS[job.notebook.stem].full_minutes)}"
        for job in long
        if not (job.data and job.data.missing)
    ]
    if told:
        print(f"full size, on one core: {'; '.join(told)}", file=sys.stderr, flush=True)
    if not long:
        said = "none of these notebooks has one, so all run at report size"
        print(f"full size: {said}", file=sys.stderr, flush=True)


def tell_of_folders(planned: Sequence[Job]) -> None:
    """Before a run on a stranger's tables: who stands in for whom, and about how many minutes and GiB it takes."""
    for job in planned:
        stem, data = job.notebook.stem, job.data
        if data is None or data.size is None:
            continue
        if (
            first := PRESETS[stem].stands_in_for if stem in PRESETS else ""
        ) and not data.has_target:
            said = f"{inert(data.label)} has neither rating nor label: {stem} takes the place of {first}"
            print(said, file=sys.stderr, flush=True)
        if stem in PAGES:
            less = {
                "quick": " at report size, less with --quick",
                "full": " at report size, far more with --full",
            }
            said = f"{job.stem}: {in_words_of_cost(stem, data.size)}{less.get(job.size, '')}"
            print(inert(said), file=sys.stderr, flush=True)


def replaced_by_smaller(entries: Sequence[Mapping], out: Path) -> Counter[tuple[str, str]]:
    """How many pages of `out` this run's smaller ones take the place of, by (new size, earlier size)."""
    earlier = index.sidecars([out])
    pairs = [
        (entry["size"], earlier[entry["stem"]]["size"])
        for entry in entries
        if entry["status"] != "not run" and entry["stem"] in earlier
    ]
    return Counter((new, old) for new, old in pairs if old in SIZES[SIZES.index(new) + 1 :])


def tell(entries: Sequence[Mapping], out: Path, larger: Mapping[tuple[str, str], int]) -> None:
    """One line per notebook, and where to look. larger: as `replaced_by_smaller` counts them."""
    for entry in entries:
        if entry["status"] == "not run":
            print(f"not run  {entry['stem']}: {inert(why_not_run(entry['reason'], entry['data']))}")
            continue
        why = f": {inert(sentence(entry['error']))}" if entry["error"] else ""
        took = duration(entry["seconds"])
        print(f"{entry['status']:7}  {took:>8}  {out / entry['stem']}.html{why}")
    for (new, old), n in larger.items():
        pages = "page" if n == 1 else f"{n} pages"
        command = "fsl report --full" if old == "full" else "fsl report"
        print(f"{new} sizes: they replace the earlier {old}-size {pages}; {command} renews those")
    print(f"Open {out / 'index.html'}")
