"""What a run's numbers depend on: processor, versions, date, load, and the clock."""

import os
import platform
import time
from datetime import datetime, timezone
from importlib.metadata import version

import torch

from fsl.speed.measure import PRODUCT_FLOPS, Clock, large_product, seconds_of


def about_machine() -> dict:
    """What the numbers depend on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    product = large_product()
    return {
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "higher": version("higher"),
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "load": load,
        "clock": clock()[0],
        "matmul_gflops": PRODUCT_FLOPS / 1e9 / min(seconds_of(product) for _ in range(9)),
    }


def clock() -> tuple[str, Clock]:
    """For one thread the time this process had a core, which what else runs does not lengthen; else the wall's."""
    return (
        ("CPU", time.process_time) if torch.get_num_threads() == 1 else ("wall", time.perf_counter)
    )


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(
                line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
