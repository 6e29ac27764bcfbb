"""The front of a phone, cut out of a picture on a white ground. Knows pixels; no model and no label."""

import numpy as np
from PIL import Image

INK = 247  # the darkest channel of a pixel that is not ground is below it
GAP = 3  # columns of ground that part two things
LEAST = 0.15  # of all columns with ink: a thing is no speck


def front(picture: Image.Image) -> Image.Image:
    """The first thing from the left, without the ground around it; the picture as it is where nothing stands out.

    Photos show the back, or the sides, to the right of the front; icons show the front alone.
    """
    is_ink = np.asarray(picture.convert("RGB")).min(-1) < INK
    columns = np.flatnonzero(is_ink.mean(0) > 0.01)
    if not len(columns):
        return picture
    things = np.split(columns, np.flatnonzero(np.diff(columns) > GAP) + 1)
    first = next((t for t in things if len(t) > LEAST * len(columns)), columns)
    left, right = int(first[0]), int(first[-1]) + 1
    rows = np.flatnonzero(is_ink[:, left:right].any(1))
    return picture.crop((left, int(rows[0]), right, int(rows[-1]) + 1))
