"""A phone shop's questions and answers that we wrote, English and Chinese, and what else was asked: small, and ours.

For examples, tests, and where no published data are at hand. Nobody tuned anything on the questions asked.
"""

from pathlib import Path

import torch

from fsl.encoders import FrozenEncoder, text_encoder
from fsl.errors import InputError
from fsl.reading.sentences import show
from fsl.recommending.intake import read_rows
from fsl.texts.faq import Faq, read_faq
from fsl.texts.intents import READERS, Intents, Texts, open_intents
from fsl.texts.simulated_intents import SOURCE, simulate_intents

FOLDER = Path(__file__).parent / "faqs"
LANGUAGES = ("en", "zh")


def own_faq(language: str = "en") -> Faq:
    """The FAQ itself: twelve answers with five questions each in English, ten with four in Chinese."""
    return read_faq(own_file(language))


def own_file(language: str = "en") -> Path:
    """Where it is, for `fsl answer --faq`."""
    return FOLDER / f"phone_shop_{language}.csv"


def own_asked(language: str = "en") -> Texts:
    """Other questions: label is the place of the right answer in `answers` of the FAQ, −1 for none."""
    rows, answers = read_rows(FOLDER / f"asked_{language}.csv").frame, own_faq(language).answers
    labels = [answers.index(said) if said else -1 for said in rows["answer"]]
    return Texts(list(rows["question"]), torch.tensor(labels))


def own_intents(language: str = "en") -> Intents:
    """The same as a data set of intents. Every second question asked is validation, the others are the test."""
    rows = read_rows(own_file(language)).frame
    names = list(dict.fromkeys(rows["topic"]))
    train = Texts(list(rows["question"]), torch.tensor([names.index(t) for t in rows["topic"]]))
    asked = own_asked(language)
    inside, outside = ((asked.labels >= 0) == side for side in (True, False))
    halves = {"val": slice(None, None, 2), "test": slice(1, None, 2)}
    within = {p: asked.take(inside.nonzero()[:, 0][half]) for p, half in halves.items()}
    beyond = {p: asked.take(outside.nonzero()[:, 0][half]) for p, half in halves.items()}
    return Intents("phone shop FAQ", names, train, within["val"], within["test"], beyond)


def intents_or_ours(name: str, timeout: float = 10.0) -> tuple[Intents, FrozenEncoder, list[str]]:
    """ "banking77", "clinc150" or invented ones, or "ours", through MiniLM; what cannot be had makes room, and is said.

    Returns intents (else ours), encoder (else TF-IDF of our FAQ, and ours), and a sentence for each that is missing.
    Raises InputError for another name.
    """
    if name not in ("ours", SOURCE, *READERS):
        expected = " or ".join((*READERS, SOURCE, "ours"))
        raise InputError(f"no intents are called {show(name)}, expected {expected}.")
    made, missing = {"ours": own_intents, SOURCE: simulate_intents}, []
    try:
        intents = made[name]() if name in made else open_intents(name, timeout=timeout)
    except InputError as error:
        missing.append(str(error))
        intents = own_intents()
    try:
        return intents, text_encoder("minilm"), missing
    except InputError as error:
        missing.append(str(error))
    ours = own_intents()
    return ours, text_encoder("tfidf", texts=ours.train.texts), missing
