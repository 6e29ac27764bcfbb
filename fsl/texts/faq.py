"""A shop's own questions and answers as a few-shot service: the answer, how sure it is, or a person.

Knows a table of questions and answers and an encoder; nothing is trained. An answer is a class, its questions the
shots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fsl.encoders import FrozenEncoder, text_encoder
from fsl.errors import InputError
from fsl.reading.sentences import inert, listed, show
from fsl.recommending.intake import Rows, read_rows
from fsl.texts.intent_heads import Shots, nearest, prototypes
from fsl.texts.intents import same_words

PERSON = "Let me get a person."
COLUMNS = {"question": ("question", "问题"), "answer": ("answer", "答案", "回答")}  # in any case


class Sureness(NamedTuple):
    """What scores mean: p(n) ∝ exp(slope · s_n), with one more class "none of these" of score `none`."""

    slope: float
    none: float


# Least mean −log p on clinc150's validation part, 12 intents and 4 shots a task, half of the questions out of scope:
# `fsl.texts.faq_sureness.fit_sureness`. No text of ours was looked at.
SURENESS = {
    "minilm": Sureness(21.0, 0.41),
    "multilingual": Sureness(22.0, 0.50),
    "tfidf": Sureness(16.0, 0.39),
}


class Reply(NamedTuple):
    """What is said to one question. answer: None where a person is wanted. confidence: that this answer is right.

    like: the question of the FAQ that is most like it, of the likeliest answer.
    """

    answer: str | None
    confidence: float
    like: str

    def __str__(self) -> str:
        if self.answer is None:
            return f"{PERSON}\n(confidence {self.confidence:.0%}; most like: {inert(self.like)})"
        lines = "\n".join(map(inert, self.answer.splitlines()))
        return f"{lines}\n(confidence {self.confidence:.0%}; like: {inert(self.like)})"


@dataclass(frozen=True, eq=False)
class Faq:
    """questions and the place of each one's answer in `answers`: int64 [n]."""

    questions: list[str]
    answers: list[str]
    labels: Tensor

    def service(
        self, encoder: str = "auto", asked: Sequence[str] = (), show_progress: bool = False
    ) -> "Answering":
        """The FAQ, embedded. encoder: one of `text_encoder`; "auto" goes by the script of all texts."""
        texts = [*self.questions, *self.answers, *asked]
        chosen = text_encoder(encoder, texts=texts)
        z = torch.from_numpy(chosen.encode(self.questions, show_progress))
        return Answering(self, chosen, z, SURENESS[chosen.name])


def scores(shots: Shots, asked: Tensor) -> Tensor:
    """(cos(z_q, c_n) + max_{y_k = n} cos(z_q, z_k)) / 2, [n_asked, n_way]: like all its questions, and like one."""
    return (prototypes(shots, asked) + nearest(shots, asked)) / 2


def likelihoods(found: Tensor, sureness: Sureness) -> Tensor:
    """p of each answer, and last of none of them: scores [m, n_way] -> [m, n_way + 1], rows that sum to 1."""
    none = torch.full((len(found), 1), sureness.none)
    return (sureness.slope * torch.cat([found, none], dim=1)).softmax(-1)


@dataclass(frozen=True, eq=False)
class Answering:
    """An embedded FAQ. z: float32 [n, d], of its questions."""

    faq: Faq
    encoder: FrozenEncoder
    z: Tensor
    sureness: Sureness

    def likelihoods(self, texts: Sequence[str]) -> Tensor:
        """p of each answer, and last of none of them, [n_texts, n_answers + 1]; each text judged by itself."""
        names = torch.zeros(len(self.faq.answers), self.z.shape[1])
        asked = torch.from_numpy(self.encoder.encode(list(texts)))
        return likelihoods(scores(Shots(self.z, self.faq.labels, names), asked), self.sureness)

    def reply(self, text: str, sure: float = 0.5) -> Reply:
        """The likeliest answer if its p is at least `sure`, else a person. Raises InputError for an empty question."""
        if not text.strip():
            raise InputError("the question is empty, expected some words.")
        p = self.likelihoods([text])[0, :-1]
        best = int(p.argmax())
        own = (self.faq.labels == best).nonzero()[:, 0]
        near = self.z[own] @ torch.from_numpy(self.encoder.encode([text]))[0]
        like = self.faq.questions[int(own[near.argmax()])]
        said = self.faq.answers[best] if p[best] >= sure else None
        return Reply(said, float(p[best]), like)


def read_faq(path: str | Path) -> Faq:
    """A CSV file with columns question and answer (COLUMNS); rows with the same answer are examples of one class.

    Raises InputError: no such file or column, an empty cell, a question that is there twice with two answers, or fewer
    than two answers.
    """
    rows = read_rows(path)
    cells = {ours: rows.frame[_column(rows, ours)] for ours in COLUMNS}
    problems = [
        f"{rows.label}, line {rows.line(int(row))}: {ours} is empty, expected some words."
        for ours, texts in cells.items()
        for row in np.flatnonzero(texts == "")
    ]
    questions, said = (list(texts) for texts in cells.values())
    first: dict[str, int] = {}
    for row, question in enumerate(questions):
        before = first.setdefault(same_words(question), row)
        if said[before] != said[row]:
            problems.append(
                f"{rows.label}, line {rows.line(row)}: {show(question)} has another answer than in line "
                f"{rows.line(before)}, expected one answer a question."
            )
    if problems:
        raise InputError(*listed(problems, rows.label))
    answers = list(dict.fromkeys(said))
    if len(answers) < 2:
        raise InputError(f"{rows.label}: one answer, expected two or more to choose from.")
    return Faq(questions, answers, torch.tensor([answers.index(answer) for answer in said]))


def _column(rows: Rows, ours: str) -> str:
    """Their name of our column. Raises InputError where there is none, or two."""
    theirs = [name for name in rows.frame.columns if name.casefold() in COLUMNS[ours]]
    if len(theirs) == 1:
        return theirs[0]
    seen = ", ".join(map(show, rows.frame.columns))
    said = f"there are {len(theirs)} columns" if theirs else "there is no column"
    raise InputError(f"{rows.label}: {said} {ours!r}; the columns are {seen}.")
