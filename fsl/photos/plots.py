"""Pictures of one-shot retrieval. Functions take what they show and Axes; know no encoder."""

from collections.abc import Sequence

import numpy as np

from fsl.photos.phones import PhonePhotos
from fsl.plots import plain


def gallery(phones: PhonePhotos, rows: Sequence[int], axes: np.ndarray) -> None:
    """Icons above, photos below, a column for each phone. axes: [2, n]."""
    for ax, row in zip(axes.T, rows, strict=True):
        for one, picture in zip(ax, (phones.icons[row], phones.photos[row]), strict=True):
            one.imshow(picture)
            one.set(xticks=[], yticks=[])
            one.grid(visible=False)
            one.set_frame_on(False)
        maker_and_name = f"{phones.makers[row]}\n{phones.names[row] or phones.codes[row]}"
        ax[0].set_title(plain(maker_and_name, 16), fontsize=9, weight="normal")
    for ax, what in zip(axes[:, 0], ("icon", "photo"), strict=True):
        ax.set_ylabel(what)


def widths_in_words(phones: PhonePhotos) -> str:
    """What photos show beside the front, as a sentence: one that shows the back, too, is wider than its icon."""
    shapes = [[p.width / p.height for p in side] for side in (phones.icons, phones.photos)]
    wider = np.mean([photo > 1.3 * icon for icon, photo in zip(*shapes, strict=True)])
    return f"{wider:.0%} of the photos are wider than their icon by a third: they show more than the front"
