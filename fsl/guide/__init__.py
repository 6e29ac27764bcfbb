"""A shopping guide: asks what is worth asking, shows three with reasons, learns from the reaction."""

from fsl.guide.conversation import Guide, Turn, dialogue
from fsl.guide.shelf import Shelf

__all__ = ["Guide", "Shelf", "Turn", "dialogue"]
