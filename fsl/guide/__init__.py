"""A shopping guide: asks what is worth asking, shows three with reasons, learns from the reaction."""

from fsl.lazy import names_of

_HOME = {
    "Guide": "conversation",
    "Shelf": "shelf",
    "Turn": "conversation",
    "dialogue": "conversation",
}
__getattr__, __dir__, __all__ = names_of("fsl.guide", _HOME)
