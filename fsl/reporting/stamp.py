"""Where a number comes from: commit, versions, machine, parameters, data."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("fsl", "torch", "numpy", "pandas", "papermill")
CODE = ("fsl", "notebooks", "pyproject.toml")


def stamp(threads: int) -> dict:
    """The part that all notebooks of a run share."""
    return {
        **_commit(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": threads,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(root: Path) -> dict:
    """The project's commit and whether its code differs from it; None where there is no checkout."""
    if not (root / ".git").exists():
        return {"commit": None, "changed": None}
    head = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", *CODE)
    return {"commit": head or None, "changed": None if changes is None else bool(changes)}


def _git(root: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def lines(entry: Mapping) -> list[tuple[str, str]]:
    """A sidecar's stamp in words, for the foot of a page."""
    facts = entry["stamp"]
    commit = facts["commit"] or "not from a checkout"
    versions = [f"{name} {facts[name]}" for name in ("python", *PACKAGES) if facts.get(name)]
    return [
        ("Commit", f"{commit}{' with changes that are not committed' if facts['changed'] else ''}"),
        ("Versions", ", ".join(versions)),
        (
            "Machine",
            f"{facts['platform']}, {facts['threads']} thread{'s' if facts['threads'] != 1 else ''}",
        ),
        ("Seed", str(facts.get("seed"))),
        ("Data", _data(entry)),
        ("Run", f"{entry['started']}, {entry['seconds']:.0f} s, {entry['size']} size"),
    ]


def _data(entry: Mapping) -> str:
    """Simulated data are no files: the checksum is that of what this commit makes."""
    name, checksum = entry["data"] or "none", entry["stamp"].get("checksum")
    made = " of the data, which this commit makes on demand" if entry["simulated"] else ""
    return f"{name}, sha256 {checksum}{made}" if checksum else name
