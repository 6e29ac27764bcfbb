"""Pretrained encoders of texts and pictures, frozen, offline once installed (extras `text` and `image`)."""

from importlib import import_module

_HOME = {
    "FrozenEncoder": "frozen",
    "text_encoder": "text",
    "encoder_for": "script",
    "image_encoder": "pictures",
    "minilm_layers": "spans",
    "lower_states": "layers",
    "token_states": "layers",
    "TokenStates": "layers",
    "TopLayers": "layers",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'fsl.encoders' has no attribute {name!r}")
    return getattr(import_module(f"fsl.encoders.{_HOME[name]}"), name)
