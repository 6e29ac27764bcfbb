"""A/B tests: plan one, run one in the simulated shop, read one, and look at it early without being fooled.

Knows two columns of numbers and who was shown what; knows no learner but in `abtest.shop`, which invents the visitors.
Names are imported on first use.
"""

from importlib import import_module

_HOME = {
    "Difference": "means",
    "Plan": "planning",
    "Readout": "readouts",
    "SampleRatio": "checks",
    "Trial": "trial",
    "adjusted": "cuped",
    "always_valid": "sequential",
    "difference": "means",
    "plan": "planning",
    "power_of": "planning",
    "read": "readouts",
    "read_trial": "tablefile",
    "sample_ratio": "checks",
    "sample_size": "planning",
    "theta": "cuped",
    "trial_of": "trial",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'fsl.abtest' has no attribute {name!r}")
    value = getattr(import_module(f"fsl.abtest.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
