"""What all tests share: hypothesis without deadlines and with fixed examples, so that a run says the same twice."""

from hypothesis import settings

settings.register_profile("fsl", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("fsl")
