"""A test's CSV file as a `Trial`. The file's layout is found and its lines are counted as everywhere in `fsl`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fsl.abtest.trial import Trial, trial_of
from fsl.errors import InputError
from fsl.reading.sentences import Origin
from fsl.recommending.intake import read_rows

OURS = ("variant", "user", "segment", "scene", "day")


def read_trial(
    path: str | Path,
    metrics: Sequence[str] = (),
    before: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    control: str | None = None,
) -> Trial:
    """`trial_of` of a CSV file (also .csv.gz, semicolons, decimal commas); sentences name the file and the line.

    columns: variant, user, scene (or segment) and day -> what the file calls it. Raises InputError.
    """
    columns = dict(columns or {})
    if wrong := [name for name in columns if name not in OURS]:
        raise InputError(f"--column {wrong[0]!r}: expected one of {', '.join(OURS)}.")
    if "scene" in columns:
        columns["segment"] = columns.pop("scene")
    rows = read_rows(path)
    origin = Origin(rows.label, "line", lambda places: [rows.line(row) for row in places])
    return trial_of(rows.frame, metrics, before, columns, control, origin)
