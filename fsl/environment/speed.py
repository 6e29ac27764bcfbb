"""Decisions per second of one core, of the visits and through Gymnasium: python -m fsl.environment.speed"""

import time

import numpy as np

from fsl.environment.visits import Visits
from fsl.simulate import simulate_shop


def decisions_per_second(visits: Visits, n_visitors: int = 4096, n_turns: int = 25) -> float:
    """Of random phones shown to `n_visitors` at once, the arrival of the next ones included; CPU seconds."""
    phones = np.random.default_rng(0).integers(visits.n_items, size=(n_turns, n_visitors, 1))
    show = np.zeros(n_visitors, dtype=np.int64)
    visits.arrive(np.arange(n_visitors))
    start = time.process_time()
    for shown in phones:
        turn = visits.step(show, shown)
        visits.next_ones(turn.left | turn.late)
    return n_visitors * n_turns / (time.process_time() - start)


def through_gymnasium(n_visitors: int = 4096, n_turns: int = 25) -> float:
    """The same through `ShopVectorEnv`."""
    from fsl.environment import ShopVectorEnv

    env = ShopVectorEnv(n_visitors)
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(n_turns)]
    start = time.process_time()
    for action in actions:
        env.step(action)
    return n_visitors * n_turns / (time.process_time() - start)


if __name__ == "__main__":
    print(f"{decisions_per_second(Visits.of_shop(simulate_shop()[0])):12,.0f} decisions per second")
    print(f"{through_gymnasium():12,.0f} through Gymnasium")
