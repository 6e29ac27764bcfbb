"""Small static students of large encoders: a table of word vectors, fitted on texts without labels."""

from fsl.texts.distil.fit import Distilled, distil, distil_scores
from fsl.texts.distil.student import StaticStudent, load_student, save_student
from fsl.texts.distil.words import Words, words_of

__all__ = [
    "Distilled",
    "StaticStudent",
    "Words",
    "distil",
    "distil_scores",
    "load_student",
    "save_student",
    "words_of",
]
