"""Pictures of phones by name: real ones, or drawn ones. Fetches what is not here."""

import torch

from fsl.errors import InputError
from fsl.photos.phones import PhonePhotos, read_photos
from fsl.photos.simulated import simulated_photos
from fsl.reading.sentences import show
from fsl.sources import files_of

NAMES = ("simulated", "phone-photos")
FEWEST = 8  # phones: below it a fold has none to learn from
DRAWN = 40  # phones, where all of the drawn ones are asked for


def open_photos(name: str, n: int = 0, seed: int = 0, timeout: float = 60.0) -> PhonePhotos:
    """n phones at random of "phone-photos", or drawn ones ("simulated"); 0 takes all that there are.

    Raises InputError for another name or number, or where npm's package cannot be had within `timeout` seconds.
    """
    if name not in NAMES:
        expected = " or ".join(NAMES)
        raise InputError(f"no pictures are called {show(str(name))}, expected {expected}.")
    if n and n < FEWEST:
        raise InputError(f"n_phones is {n}, expected {FEWEST} or more, or 0 for all.")
    if name == "simulated":
        return simulated_photos(n or DRAWN, seed)
    phones = read_photos(*files_of(name, timeout=timeout).values())
    order = torch.randperm(len(phones), generator=torch.Generator().manual_seed(seed))
    return phones.take(order[: n or len(phones)].sort().values.tolist())
