"""What all tests share: hypothesis with fixed examples and no deadline; torch on one thread, for tiny tensors."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("fsl", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("fsl")
