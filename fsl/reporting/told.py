"""What a run says on the terminal when it is over. Runs and writes nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fsl.reading.sentences import inert
from fsl.reporting import index
from fsl.reporting.failure import sentence, why_not_run
from fsl.reporting.page import duration


def replaced_by_quick(entries: Sequence[Mapping], out: Path) -> int:
    """How many report-size pages of `out` this run's quick ones take the place of."""
    new = {e["stem"] for e in entries if e["size"] == "quick" and e["status"] != "not run"}
    earlier = index.sidecars([out])
    return sum(earlier[stem]["size"] == "report" for stem in new & earlier.keys())


def tell(entries: Sequence[Mapping], out: Path, larger: int) -> None:
    """One line per notebook, and where to look."""
    for entry in entries:
        if entry["status"] == "not run":
            print(f"not run  {entry['stem']}: {inert(why_not_run(entry['reason'], entry['data']))}")
            continue
        why = f": {inert(sentence(entry['error']))}" if entry["error"] else ""
        took = duration(entry["seconds"])
        print(f"{entry['status']:7}  {took:>8}  {out / entry['stem']}.html{why}")
    if larger:
        pages = "page" if larger == 1 else f"{larger} pages"
        print(f"quick sizes: they replace the earlier report-size {pages}; fsl report renews those")
    print(f"Open {out / 'index.html'}")
