"""Why does a learned prior wait so long with a new phone? Two suspects, each taken away alone and together. Simulated.

The scale: a reaction of five stars says nothing of what lies beyond. The doubt: what nobody knows of a phone counts as
noise of its ratings, so UCB is as sure of an unrated phone as of a rated one like it; `curious` counts it as doubt.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pandas as pd

from fsl.bandits.drift import Stream, first_shown, mean_of, stream_regret
from fsl.bandits.policies import UCB
from fsl.bandits.priors import Prior

CURIOUS = (
    0.0,
    1.0,
    2.0,
    4.0,
)  # widths of UCB with doubt; 0 stands for the usual UCB, width 1 without


def arrival_table(
    prior: Prior, arriving: Stream, n_turns: int, widths: Sequence[float] = CURIOUS, seed: int = 0
) -> pd.DataFrame:
    """Rows: the usual UCB, and UCB that counts doubt at each width; columns: turns until shown, as rated and without
    an upper end of the reactions' scale, and the regret of the five turns before the arrival, what the width costs.

    Only customers count for whom a new phone is the best there is. Values are `Interval`s over them.
    """
    best = arriving.after.argmax(1, keepdim=True)
    who = arriving.new.gather(1, best)[:, 0].numpy()
    rows = {}
    for width in widths:
        policy = UCB(prior, width=width, curious=True) if width else UCB(prior)
        line = {}
        for name, highest in (("turns, stars end at 5", 5.0), ("turns, stars without end", inf)):
            stream = replace(arriving, highest=highest)
            regret, news = stream_regret(policy, stream, n_turns, seed)
            line[name] = mean_of(first_shown(news, stream.change_at)[who], seed)
            if highest == 5:
                before = regret[:, max(0, stream.change_at - 5) : stream.change_at].mean(1)
        line["regret before, stars"] = mean_of(before, seed)
        rows[f"with doubt, width {width:g}" if width else "usual, width 1"] = line
    return pd.DataFrame(rows).T
