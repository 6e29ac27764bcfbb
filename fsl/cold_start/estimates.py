"""About how many minutes and how much memory a verdict's page takes, from the counts of a shop. Knows no tensor.

The constants were set by hand so that they agree with CPU seconds and memory of runs on two shops, amazon-phones and
the simulated one, one thread, at report size. `fsl speed verdict` measures invented shops of growing size and fits them
anew.
"""

from collections.abc import Mapping

from fsl.ranking.sizes import Size, linear

PAGES = ("04_cold_start", "04b_without_ratings")
SECONDS: Mapping[str, tuple[float, ...]] = {
    "04_cold_start": (60.0, 60.0, 0.0, 40.0, 30.0, 5.0),
    "04b_without_ratings": (15.0, 25.0, 3.0, 80.0, 35.0, 10.0),
}
GIB: Mapping[str, tuple[float, ...]] = {
    "04_cold_start": (0.6, 0.3, 0.0, 0.0, 0.5, 0.2),
    "04b_without_ratings": (0.5, 0.2, 0.05, 0.3, 0.7, 0.3),
}
"""Per 1, rows / 10⁵, subjects / 10⁴, objects / 10⁴, (solved objects / 4,000)³, pairs / 10⁷: see `Size.terms`."""


def estimate(page: str, size: Size) -> tuple[float, float]:
    """About (minutes on one core, GiB) of a page at report size. Raises KeyError for a page that has no constants."""
    return linear(SECONDS[page], size) / 60, linear(GIB[page], size)


def in_words(page: str, size: Size) -> str:
    """The counts and the estimate: one sentence."""
    minutes, gib = estimate(page, size)
    counts = f"{size.n_rows:,} interactions, {size.n_subjects:,} users, {size.n_objects:,} items"
    return f"{counts}: about {rounded(minutes)} and {max(gib, 0.1):.1f} GiB on one core"


def rounded(minutes: float) -> str:
    """ "1 minute", "7 minutes", "2.5 hours": never less than one minute."""
    if minutes >= 90:
        return f"{minutes / 60:.1f} hours"
    whole = max(1, round(minutes))
    return f"{whole} minute{'s' * (whole != 1)}"
