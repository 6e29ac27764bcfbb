"""About how many minutes and how much memory a verdict's page takes, from the counts of a shop. Knows no tensor.

The constants are fitted (non-negative least squares, held near earlier values where a few shops cannot tell the terms
apart) to what `fsl speed verdict` measured on invented shops of 10,000 to 150,000 rows, and to a whole page of 200,000
rows: CPU seconds on one thread, peak memory, at report size. On nine of these ten they are off by less than a third;
a shop of few rows and many items without ratings took three times as long as they say.
"""

from collections.abc import Mapping

from fsl.ranking.sizes import Size, linear

PAGES = ("04_cold_start", "04b_without_ratings")
SECONDS: Mapping[str, tuple[float, ...]] = {
    "04_cold_start": (14.0, 33.0, 1.0, 64.0, 60.0, 5.0),
    "04b_without_ratings": (3.0, 31.0, 3.0, 63.0, 35.0, 11.0),
}
GIB: Mapping[str, tuple[float, ...]] = {
    "04_cold_start": (0.5, 0.5, 0.02, 0.01, 1.4, 0.2),
    "04b_without_ratings": (0.6, 0.2, 0.05, 0.3, 0.9, 0.3),
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
