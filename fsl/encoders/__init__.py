"""Pretrained encoders of texts and pictures, frozen, offline once installed (extras `text` and `image`)."""

from fsl.lazy import names_of

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
__getattr__, __dir__, __all__ = names_of("fsl.encoders", _HOME)
