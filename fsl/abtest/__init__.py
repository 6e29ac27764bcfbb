"""A/B tests: plan one, run one in the simulated shop, read one, and look at it early without being fooled.

Knows two columns of numbers and who was shown what; knows no learner but in `abtest.shop`, which invents the visitors.
"""

from fsl.abtest.checks import SampleRatio as SampleRatio
from fsl.abtest.checks import sample_ratio as sample_ratio
from fsl.abtest.cuped import adjusted as adjusted
from fsl.abtest.cuped import theta as theta
from fsl.abtest.difference import Difference as Difference
from fsl.abtest.difference import difference as difference
from fsl.abtest.plan import Plan as Plan
from fsl.abtest.plan import plan as plan
from fsl.abtest.plan import power_of as power_of
from fsl.abtest.plan import sample_size as sample_size
from fsl.abtest.read import Readout as Readout
from fsl.abtest.read import read as read
from fsl.abtest.sequential import always_valid as always_valid
from fsl.abtest.trial import Trial as Trial
from fsl.abtest.trial import trial_of as trial_of
