"""What all tests share: hypothesis with fixed examples and no deadline; one thread each, for tiny tensors.

The environment is set before torch comes, so that notebooks' kernels and other processes inherit it, as in a report:
idle threads of linear algebra wait by spinning, which doubles what some notebooks cost.
"""

import os
import signal

for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

# Behind a shell's & interrupts are ignored, and they are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)
settings.register_profile("fsl", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("fsl")
