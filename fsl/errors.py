"""What a person can mend: bad input, a wrong option, a source that cannot be had. Knows nothing else."""


class InputError(ValueError):
    """Bad input or usage. Each problem is one sentence; the command line prints them and exits with 2."""

    def __init__(self, *problems: str):
        super().__init__("\n".join(problems))
        self.problems = problems
