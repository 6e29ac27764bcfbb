"""Whether a cold-start verdict is possible, from numbers of behaviours alone. Knows no table and no tensor."""

from collections.abc import Sequence

import numpy as np

N_SHOTS = (1, 3, 5, 10)
N_QUERY = 10
ENOUGH = 4
IMPOSSIBLE = "no cold-start verdict is possible"
FEWEST_TASKS = 25  # five for each of five folds: below that no interval is worth printing


def feasible_sizes(
    median: int, n_shots: Sequence[int] = N_SHOTS, n_query: int = N_QUERY
) -> tuple[tuple[int, ...], int]:
    """The shots and query size that a task of `median` behaviours can serve: (n_shots, n_query), both cut down.

    Query gets at most half of the median task. No shots are left where even one shot and one query are too much.
    """
    n_query = min(n_query, median // 2)
    return tuple(k for k in n_shots if n_query and k + n_query <= median), n_query


def least_behaviours(n_shots: Sequence[int], n_query: int) -> int:
    """What a task must have to be judged: the largest support, and half of the query."""
    return max(n_shots) + max(1, n_query // 2)


def verdict(
    counts: np.ndarray, is_timed: bool, n_shots: Sequence[int] = N_SHOTS, n_query: int = N_QUERY
) -> str:
    """One sentence on what can be judged. counts: [n_users], behaviours of each user who has any."""
    median = int(np.median(counts))
    shots, n_query = feasible_sizes(median, n_shots, n_query)
    if shots:
        least = least_behaviours(shots, n_query)
        if (able := int((counts >= least).sum())) < FEWEST_TASKS:
            return (
                f"{IMPOSSIBLE}: {able} users have the {least} behaviours that a judgement "
                f"takes, at least {FEWEST_TASKS} are needed"
            )
        judged = f"K = {', '.join(map(str, shots))} can be judged"
        without = "" if is_timed else " (random support: no timestamps)"
        return f"half of your users have {median:,} or fewer behaviours: {judged}{without}"
    enough = int((counts >= ENOUGH).sum())
    return (
        f"{IMPOSSIBLE} with a median of {median} behaviour per user; "
        f"{enough:,} of {len(counts):,} users have {ENOUGH} or more"
    )


def lacking(counts: np.ndarray, n_shots: Sequence[int] = N_SHOTS, n_query: int = N_QUERY) -> str:
    """What a verdict takes that is not there, as `verdict` counts it; "" where it is possible."""
    median = int(np.median(counts))
    shots, n_query = feasible_sizes(median, n_shots, n_query)
    least = least_behaviours(shots or (1,), n_query)
    able, of = int((counts >= least).sum()), len(counts)
    if shots and able >= FEWEST_TASKS:
        return ""
    half = "" if shots else ", and half of all users,"
    return (
        f"at least {FEWEST_TASKS} users{half} must have {least} behaviours or more, "
        f"and {able:,} of {of:,} have them"
    )
