"""The shop as a Gymnasium environment: one visitor at a time, or many at once.

Thin: the visits themselves are in `visits`. Needs `pip install 'fsl[interaction]'`, which is Gymnasium.
"""

from collections.abc import Mapping

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from fsl.data import Shop
from fsl.environment.rules import NOTHING, QUESTIONS, Rules
from fsl.environment.visits import Turn, Visits
from fsl.simulate import SCENE_NAMES, simulate_shop

_FAR = 1e6  # an answer, and a column of `about`, is smaller


def action_space(visits: Visits) -> spaces.MultiDiscrete:
    """[kind, phone, …]: kind 0 shows the phones (n_items is an empty place), kind 1 + q asks QUESTIONS[q]."""
    slots = [visits.n_items + 1] * visits.rules.n_slots
    return spaces.MultiDiscrete([1 + len(QUESTIONS), *slots])


def observation_space(visits: Visits) -> spaces.Dict:
    """What a guide sees: the scene, what is known about the visitor, and what the last turn was and brought."""
    rules, d = visits.rules, visits.about.shape[1]
    return spaces.Dict({
        "scene": spaces.Discrete(len(SCENE_NAMES)),
        "about": spaces.Box(-_FAR, _FAR, (d,), np.float32),
        "turn": spaces.Discrete(rules.n_turns + 1),
        "asked": spaces.Discrete(1 + len(QUESTIONS)),
        "answer": spaces.Box(-_FAR, _FAR, (1,), np.float32),
        "shown": spaces.MultiDiscrete([visits.n_items + 1] * rules.n_slots),
        "reactions": spaces.MultiDiscrete([NOTHING + 1] * rules.n_slots),
    })  # fmt: skip


class _Watching:
    """What the guides of some visits see, kept from turn to turn."""

    def __init__(self, visits: Visits):
        self.visits = visits

    def arrive(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        visits, n = self.visits, len(numbers)
        visits.arrive(numbers)
        slots = (n, visits.rules.n_slots)
        self.seen = {
            "scene": visits.visitors.scenes.copy(),
            "about": visits.about[visits.visitors.users],
            "turn": np.zeros(n, dtype=np.int64),
            "asked": np.zeros(n, dtype=np.int64),
            "answer": np.zeros((n, 1), dtype=np.float32),
            "shown": np.full(slots, visits.n_items),
            "reactions": np.full(slots, NOTHING),
        }
        return self._copy()

    def step(self, actions: np.ndarray) -> tuple[dict[str, np.ndarray], Turn]:
        """actions: [n, 1 + n_slots]."""
        kinds, phones = actions[:, 0], actions[:, 1:]
        turn = self.visits.step(kinds, phones)
        empty = np.full_like(phones, self.visits.n_items)
        self.seen["turn"] = self.visits.turn.copy()
        self.seen["asked"] = kinds.copy()
        self.seen["answer"] = turn.answer[:, None].astype(np.float32)
        self.seen["shown"] = np.where(kinds[:, None] == 0, phones, empty)
        self.seen["reactions"] = turn.reactions
        return self._copy(), turn

    def next_ones(self, who: np.ndarray) -> dict[str, np.ndarray]:
        visits = self.visits
        visits.next_ones(who)
        fresh = {"turn": 0, "asked": 0, "answer": 0, "shown": visits.n_items, "reactions": NOTHING}
        for name, value in fresh.items():
            self.seen[name][who] = value
        self.seen["scene"][who] = visits.visitors.scenes[who]
        self.seen["about"][who] = visits.about[visits.visitors.users[who]]
        return self._copy()

    def _copy(self) -> dict[str, np.ndarray]:
        return {name: value.copy() for name, value in self.seen.items()}


class ShopEnv(gymnasium.Env):
    """One visitor of the simulated shop per episode; `Visits` has the rules and the reward.

    shop: a simulated one (None: `simulate_shop()`); users, scene: who comes, and where. The seed given to `reset` names
    a stream of visitors and their luck: `reset(seed=s)` is visitor 0 of stream s, each further `reset()` the next;
    options {"visitor": v} is visitor v. info has the truth: "best", the appeal of the best phone, and "appeals" of all.
    """

    metadata: Mapping = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        shop: Shop | None = None,
        users: np.ndarray | None = None,
        scene: str | None = None,
        rules: Rules | None = None,
        render_mode: str | None = None,
    ):
        self.shop = simulate_shop()[0] if shop is None else shop
        self.render_mode, self.stream = render_mode, None
        self.how = {"users": users, "scene": scene, "rules": rules}
        self.visits = Visits.of_shop(self.shop, **self.how)
        self.action_space = action_space(self.visits)
        self.observation_space = observation_space(self.visits)

    def reset(self, *, seed: int | None = None, options: Mapping | None = None):
        super().reset(seed=seed)
        if seed is not None or self.stream is None:
            self.stream = int(self.np_random.integers(2**31)) if seed is None else seed
            self.next = 0
            self.watching = _Watching(Visits.of_shop(self.shop, **self.how, seed=self.stream))
        number = int((options or {}).get("visitor", self.next))
        self.next = number + 1
        self.seen = self.watching.arrive(np.array([number]))
        return self._one(), self._info()

    def step(self, action):
        self.seen, turn = self.watching.step(np.asarray(action)[None])
        reward = float(turn.reward[0])
        return self._one(), reward, bool(turn.left[0]), bool(turn.late[0]), self._info()

    def _one(self) -> dict:
        """The only visitor's row, scalars for what is Discrete."""
        discrete = {"scene", "turn", "asked"}
        return {k: np.int64(v[0]) if k in discrete else v[0] for k, v in self.seen.items()}

    def _info(self) -> dict:
        appeals = self.watching.visits.appeal()[0]
        return {"visitor": self.next - 1, "best": float(appeals.max()), "appeals": appeals}

    def render(self) -> str:
        """The last turn in a line of words."""
        from fsl.environment.words import turn_in_words

        return turn_in_words(self._one(), self.shop)


class ShopVectorEnv(VectorEnv):
    """`num_envs` visitors at once, as `ShopEnv` one by one: with the same seed place i begins with visitor i.

    Where a visitor has gone, the next step only lets the next one in (autoreset mode NEXT_STEP, reward 0): place i sees
    the visitors i, i + num_envs, i + 2 num_envs … of the stream.
    """

    def __init__(
        self,
        num_envs: int,
        shop: Shop | None = None,
        users: np.ndarray | None = None,
        scene: str | None = None,
        rules: Rules | None = None,
    ):
        self.num_envs = num_envs
        self.shop = simulate_shop()[0] if shop is None else shop
        self.how = {"users": users, "scene": scene, "rules": rules}
        visits = Visits.of_shop(self.shop, **self.how)
        self.single_action_space, self.single_observation_space = (
            action_space(visits),
            observation_space(visits),
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.stream = None

    def reset(self, *, seed: int | None = None, options: Mapping | None = None):
        super().reset(seed=seed)
        if seed is not None or self.stream is None:
            self.stream = int(self.np_random.integers(2**31)) if seed is None else seed
            self.first = 0
            self.watching = _Watching(Visits.of_shop(self.shop, **self.how, seed=self.stream))
        numbers = self.first + np.arange(self.num_envs)
        self.first += self.num_envs
        return self.watching.arrive(numbers), {}

    def step(self, actions):
        visits = self.watching.visits
        went = visits.gone.copy()
        seen, turn = self.watching.step(np.asarray(actions))
        if went.any():
            seen = self.watching.next_ones(went)
            self.first = max(self.first, int(visits.visitors.numbers.max()) + 1)
        return seen, turn.reward, turn.left, turn.late, {}


gymnasium.register("fsl/Shop-v0", entry_point=ShopEnv)
