"""A/B tests: plan one, run one in the simulated shop, read one, and look at it early without being fooled.

Knows two columns of numbers and who was shown what; knows no learner but in `abtest.shop`, which invents the visitors.
Names are imported on first use.
"""

from fsl.lazy import names_of

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
__getattr__, __dir__, __all__ = names_of("fsl.abtest", _HOME)
