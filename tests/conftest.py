"""What all tests share: hypothesis without deadlines and with fixed examples, and torch on one thread (tiny tensors)."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("fsl", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("fsl")
