"""Replay as a Gymnasium environment: one new user per episode, real ratings. Thin: see `replay`.

Needs `pip install 'fsl[interaction]'`, which is Gymnasium.
"""

from collections.abc import Mapping

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from fsl.environment.replay import Replay
from fsl.tasks import Tasks


class ReplayEnv(gymnasium.Env):
    """One new user per episode, real ratings: action a shows the a-th item this user rated, its rating is the reward.

    Arms beyond a user's own, and arms shown before, are closed: see "open" in the observation; choosing one ends the
    episode with reward 0 (terminated), so mask. An episode also ends after `n_turns`, truncated, or with the last arm.
    "items" are places in the tasks' objects, for a policy to look up; ratings are never shown before they are earned.
    """

    metadata: Mapping = {"render_modes": []}

    def __init__(self, tasks: Tasks, n_turns: int = 10):
        self.tasks, self.n_turns, self.next = tasks, n_turns, 0
        most, n_items = int(tasks.sizes.max()), len(tasks.object_ids)
        self.action_space = spaces.Discrete(most)
        low, high = tasks.scale
        self.observation_space = spaces.Dict({
            "items": spaces.MultiDiscrete([n_items] * most),
            "open": spaces.MultiBinary(most),
            "turn": spaces.Discrete(n_turns + 1),
            "reward": spaces.Box(min(low, 0.0), high, (1,), np.float32),
        })  # fmt: skip

    def reset(self, *, seed: int | None = None, options: Mapping | None = None):
        super().reset(seed=seed)
        if seed is not None:
            self.next = 0
        place = int((options or {}).get("user", self.next)) % len(self.tasks)
        self.next, self.turn = place + 1, 0
        self.most = self.action_space.n
        self.replay = Replay(self.tasks.subset(torch.tensor([place])))
        return self._seen(0.0), {"user": place}

    def step(self, action):
        action, self.turn = int(action), self.turn + 1
        if action >= self.replay.open.shape[1] or not self.replay.open[0, action]:
            return self._seen(0.0), 0.0, True, False, {"closed": True}
        reward = float(self.replay.play(torch.tensor([action]))[0][0])
        over = not self.replay.open.any()
        return self._seen(reward), reward, over, self.turn >= self.n_turns and not over, {}

    def _seen(self, reward: float) -> dict:
        items, is_open = np.zeros(self.most, dtype=np.int64), np.zeros(self.most, dtype=np.int8)
        n = self.replay.arms.shape[1]
        items[:n], is_open[:n] = self.replay.arms[0], self.replay.open[0]
        turn = np.int64(min(self.turn, self.n_turns))
        return {"items": items, "open": is_open, "turn": turn, "reward": np.float32([reward])}


gymnasium.register("fsl/Replay-v0", entry_point=ReplayEnv)
