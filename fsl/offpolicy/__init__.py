"""What a policy would have earned, from the log of another one: estimators, honest intervals, and when to be silent.

`log` is the table of what was shown; `estimators`, `reward_model` and `intervals` are arithmetic on arrays, which
`evaluation` puts together; `simulated` knows the truth, `open_bandit` reads the one real pair of logs there is.
"""

from fsl.offpolicy.evaluation import ESTIMATORS as ESTIMATORS
from fsl.offpolicy.evaluation import Evaluation as Evaluation
from fsl.offpolicy.evaluation import evaluate_policy as evaluate_policy
from fsl.offpolicy.intervals import effective_sample_size as effective_sample_size
from fsl.offpolicy.intervals import empirical_bernstein as empirical_bernstein
from fsl.offpolicy.log import Log as Log
