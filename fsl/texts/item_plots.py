"""Pictures of what texts tell of items. Functions take what they show and an Axes, and return the Axes."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from torch import Tensor

from fsl.plots import COLOURS, intervals


def similarity_map(cosines: Tensor, ax: Axes) -> Axes:
    """Cosines, in hundredths, of questions (rows) with their paraphrases; a row's largest is ringed.

    cosines: [n, n], of `said_twice.similarities`.
    """
    ax.imshow(cosines, cmap="cividis", vmin=0, vmax=1)
    ax.plot(
        cosines.argmax(1), range(len(cosines)), "o", mfc="none", mec=COLOURS["orange"], ms=15, mew=2
    )
    for row, values in enumerate(cosines.tolist()):
        for column, value in enumerate(values):
            style = {"ha": "center", "va": "center", "fontsize": 7.5}
            text = f"{100 * value:.0f}"
            ax.text(column, row, text, color="black" if value > 0.6 else "white", **style)
    numbers = range(1, len(cosines) + 1)
    ax.set_xticks(range(len(cosines)), numbers)
    ax.set_yticks(range(len(cosines)), numbers)
    ax.set(xlabel="said again")
    ax.grid(visible=False)
    return ax


def gap_panels(gaps: dict[int, pd.DataFrame], axes: Sequence[Axes], label: str) -> None:
    """What each kind of content adds to one-hot columns, a panel for each K: `item_results.content_gaps` by K."""
    for ax, (k, table) in zip(axes, gaps.items(), strict=True):
        rows = {row.Index: row for row in table.itertuples()}
        intervals(rows, ax, "", reference=0, form="+.3f")
        ax.set_title(f"K = {k}", fontsize=11)
    axes[0].figure.supxlabel(label, fontsize=11)
