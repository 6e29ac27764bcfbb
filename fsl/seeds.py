"""Networks that start by a seed. Knows torch's global generator, from which its layers draw, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While inside, torch's global generator begins at `seed`; afterwards it is where it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
