"""The shop as an environment to learn from: simulated visitors, real ratings replayed, and both for Gymnasium.

`ShopEnv`, `ShopVectorEnv` and `ReplayEnv` need Gymnasium (`pip install 'fsl[interaction]'`); the rest does not.
"""

from importlib import import_module

from fsl.environment.replay import Replay
from fsl.environment.rules import QUESTIONS, REACTIONS, SHOW, Rules
from fsl.environment.visits import Turn, Visits
from fsl.errors import InputError

_OF_GYMNASIUM = {"ShopEnv": "gym_env", "ShopVectorEnv": "gym_env", "ReplayEnv": "gym_replay"}
__all__ = ["QUESTIONS", "REACTIONS", "SHOW", "Replay", "Rules", "Turn", "Visits", *_OF_GYMNASIUM]


def __getattr__(name: str):
    if name not in _OF_GYMNASIUM:
        raise AttributeError(f"module 'fsl.environment' has no attribute {name!r}")
    try:
        return getattr(import_module(f"fsl.environment.{_OF_GYMNASIUM[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        raise InputError(
            f"{name} needs Gymnasium, which is not installed: pip install 'fsl[interaction]'"
        ) from None
