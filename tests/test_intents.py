"""Few-shot intents: readers, draws, heads against the learners they stand for, tuning, out of scope, transduction."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import normalize

from fsl import InputError
from fsl.class_evaluation import accuracy
from fsl.encoders import TokenStates, packages
from fsl.episodes import Examples
from fsl.learners.metric import Matching, Prototypical, SiameseNearest
from fsl.learners.vectors import CosinePrototypes, WithinPrototypes
from fsl.texts import intent_heads, out_of_scope, own_faq, transductive
from fsl.texts.fewrel import Sentence, whole
from fsl.texts.fewrel_encoded import first_run, spanned
from fsl.texts.fine_tuning import FineTuning, batches, embed, supervised_contrast
from fsl.texts.intent_heads import Shots
from fsl.texts.intent_looks import Frozen, Look, Service, chosen, draw_support
from fsl.texts.intent_parts import HELD_BACK, some_intents, whole_shots
from fsl.texts.intent_study import accuracy_table, by_intent, judge_heads, points, rulers
from fsl.texts.intents import Intents, Texts, read_banking, read_clinc
from fsl.texts.projection import Projected, Projection, learn_projection
from fsl.texts.two_covariance import TwoCovariance

D, N_WAY = 12, 4


def made_shots(seed=0, n_shots=3, spread=0.6):
    """Shots of N_WAY clouds on the sphere, their names near them; questions of every class, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    directions = normalize(torch.randn(N_WAY, D, generator=generator), dim=-1)

    def around(n):
        labels = torch.arange(N_WAY).repeat_interleave(n)
        noise = spread * torch.randn(len(labels), D, generator=generator) / D**0.5
        return normalize(directions[labels] + noise, dim=-1), labels

    z, labels = around(n_shots)
    return Shots(z, labels, around(1)[0]), *around(30)


def refused(call, *args) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


# Reading


def banking_files(tmp_path, train, test):
    for name, rows in (("train.csv", train), ("test.csv", test)):
        (tmp_path / name).write_text("\n".join(rows), encoding="utf-8")
    return {name: tmp_path / name for name in ("train.csv", "test.csv")}


TRAIN = [
    "text,category",
    "Where is it?,card_arrival",
    " block it ,Block_card?",
    "Stop it,Block_card?",
]


def test_banking_is_read_and_a_training_copy_of_a_test_text_is_taken_out(tmp_path):
    files = banking_files(
        tmp_path, TRAIN, ["text,category", "Block  it,Block_card?", "When?,card_arrival"]
    )
    found = read_banking(files)
    assert found.names == ["block card", "card arrival"]
    assert found.train.texts == ["Where is it?", "Stop it"]
    assert found.train.labels.tolist() == [1, 0]
    assert found.test.texts == ["Block  it", "When?"]
    assert found.removed == {"val": 0, "test": 1}
    assert found.validation.texts == []


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (["text,label", "a,b"], "test.csv: no column 'category'; the columns are 'text', 'label'."),
        (
            ["text,category", "a,card_arrival", ",card_arrival"],
            "line 3: text is empty, expected some text.",
        ),
        (
            ["text,category", "a,other"],
            "intent 'other' (of 'a') has no training text, expected one.",
        ),
    ],
)
def test_bad_banking_files_are_refused(tmp_path, test, said):
    assert said in refused(read_banking, banking_files(tmp_path, TRAIN, test))


def test_clinc_is_read_with_what_is_out_of_scope(tmp_path):
    content = {
        "train": [["hi", "greet"], ["bye now", "part"]], "val": [["HI", "greet"]], "test": [["hello", "greet"]],
        "oos_train": [], "oos_val": [["rain?", "oos"]], "oos_test": [["snow?", "oos"], ["sun?", "oos"]],
    }  # fmt: skip
    path = tmp_path / "data_full.json"
    path.write_text(json.dumps(content))
    found = read_clinc({"data_full.json": path})
    assert found.names == ["greet", "part"]
    assert found.removed == {"val": 1, "test": 0}
    assert found.train.texts == ["bye now"]
    assert found.out_of_scope["test"].texts == ["snow?", "sun?"]
    assert found.out_of_scope["test"].labels.tolist() == [-1, -1]
    path.write_text(json.dumps({**content, "val": [["hi"]]}))
    assert "val, entry 1: \"['hi']\", expected [text, intent]" in refused(
        read_clinc, {"data_full.json": path}
    )
    path.write_text(json.dumps({"train": []}))
    assert "no list 'val', expected lists of [text, intent]" in refused(
        read_clinc, {"data_full.json": path}
    )


# Draws and records


def made_intents(n=6, per=30):
    def part(prefix, k):
        texts = [f"{prefix} {c} {i}" for c in range(n) for i in range(k)]
        return Texts(texts, torch.arange(n).repeat_interleave(k))

    return Intents(
        "made",
        [f"intent {c}" for c in range(n)],
        part("train", per),
        part("val", 0),
        part("test", 5),
    )


class Words:
    """An encoder that knows the class, which is the second word; the rest is noise that the text decides."""

    name = "words"

    def encode(self, texts):
        rows = []
        for text in texts:
            noise = np.random.default_rng(sum(map(ord, text))).normal(size=D)
            rows.append(2 * np.eye(D)[int(text.split()[1])] + 0.7 * noise)
        return (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_draws_are_of_their_class_all_different_and_nested():
    intents = made_intents()
    service = Service(intents, [3, 4])
    for seed in (3, 4):
        many = service.rows(seed, 10)
        assert service.support.labels[many].tolist() == sorted(list(range(6)) * 10)
        assert len(many.unique()) == 60
        assert service.support.labels[service.rows(seed, 1)].tolist() == list(range(6))
        few, all_ten = (service.rows(seed, k).view(6, k) for k in (5, 10))
        assert torch.equal(few, all_ten[:, :5])
    assert not torch.equal(service.rows(3, 5), service.rows(4, 5))
    short = draw_support, torch.tensor([0, 0, 1]), 2, 0, 2
    assert "class 1 has 1 training texts, 2 are to be drawn" in refused(*short)


def test_records_are_the_accuracy_and_compare_reads_them():
    service = Service(made_intents(), [0, 1])
    looks = Frozen(service, Words())
    heads = {"prototypes": intent_heads.prototypes, "nearest": intent_heads.nearest}
    records = judge_heads(service, looks, heads, (1, 5))
    assert len(records) == 2 * 2 * 2 * 6
    look = looks(1, 5)
    right = (
        intent_heads.nearest(look.shots, look.asked["test"]).argmax(1)
        == service.asked["test"].labels
    )
    own = records.query("learner == 'nearest' and n_shots == 5 and seed == 1")["value"]
    assert own.mean() == pytest.approx(right.double().mean().item())
    with_rulers = pd.concat([records, rulers(service, (1, 5))], ignore_index=True)
    table = accuracy_table(with_rulers)
    assert table.index[-3] == "oracle"
    assert set(table.index[-2:]) == {"constant", "random"}
    assert table.loc["random", "K = 5"].startswith("16.7 [")
    gap = points(with_rulers, "oracle", "random", 1)
    assert gap.value == pytest.approx(100 * 5 / 6)


def test_by_intent():
    right, labels = torch.tensor([True, False, True, True]), torch.tensor([0, 0, 1, 1])
    assert by_intent(right, labels).tolist() == [0.5, 1.0]


def test_a_part_of_the_intents_has_validation_and_what_is_out_of_scope():
    intents = made_intents()
    part = some_intents(intents, 3, seed=1)
    assert len(part) == 3
    assert len(part.validation.texts) == 3 * HELD_BACK
    assert len(part.train.texts) == 3 * (30 - HELD_BACK)
    assert not set(part.train.texts) & set(part.validation.texts)
    places = [intents.names.index(name) for name in part.names]
    for texts in (part.train, part.validation, part.test):
        assert [places[c] for c in texts.labels.tolist()] == [
            int(t.split()[1]) for t in texts.texts
        ]
    outside = {p: {int(t.split()[1]) for t in own.texts} for p, own in part.out_of_scope.items()}
    assert outside["val"]
    assert outside["test"]
    assert not outside["val"] & outside["test"]
    assert not (outside["val"] | outside["test"]) & set(places)
    assert some_intents(intents, 0) is intents
    few = some_intents(intents, 3, 2, seed=1)
    assert few.names == part.names
    assert few.train.texts == part.train.texts
    for texts in (few.validation, few.test):
        assert torch.bincount(texts.labels).tolist() == [2, 2, 2]
    assert set(few.test.texts) < set(part.test.texts)
    whole = {p: len(own.texts) for p, own in part.out_of_scope.items()}
    assert {p: len(t.texts) for p, t in few.out_of_scope.items()} == {
        p: min(6, n) for p, n in whole.items()
    }
    one = some_intents(intents, 3, 1, seed=1)
    assert all(len(own.texts) == 3 < whole[p] for p, own in one.out_of_scope.items())
    assert (
        refused(some_intents, intents, 3, -1) == "n_asked is -1, expected 1 or more, or 0 for all."
    )
    assert "made has 6 intents, expected 3 to as many, or 0 for all, got 7" in refused(
        some_intents, intents, 7
    )


# Heads


@pytest.mark.parametrize(
    ("head", "learner"),
    [
        (intent_heads.nearest, SiameseNearest(nn.Identity())),
        (intent_heads.matching, Matching(nn.Identity(), tau=10.0)),
        (intent_heads.by_learner(Prototypical(nn.Identity())), Prototypical(nn.Identity())),
    ],
    ids=["nearest", "matching", "prototypical"],
)
def test_a_head_ranks_classes_as_the_learner_does(head, learner):
    shots, asked, _ = made_shots()
    theirs = learner.predict(Examples(shots.z[None], shots.labels[None]), asked[None])[0].detach()
    ours = head(shots, asked)
    assert torch.equal(ours.argsort(1), theirs.argsort(1))


def test_matching_is_the_learner_s_number_and_nearest_a_distance():
    shots, asked, _ = made_shots()
    support = Examples(shots.z[None], shots.labels[None])
    theirs = Matching(nn.Identity(), tau=10.0).predict(support, asked[None])[0]
    assert torch.allclose(intent_heads.matching(shots, asked), theirs, atol=1e-5)
    distance = -SiameseNearest(nn.Identity()).predict(support, asked[None])[0]
    assert torch.allclose(2 - 2 * intent_heads.nearest(shots, asked), distance**2, atol=1e-4)


def test_cosine_prototypes_by_hand_and_the_name_is_one_more_example():
    shots = Shots(
        torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]), torch.eye(2)
    )
    asked = torch.tensor([[1.0, 0.0]])
    assert torch.allclose(intent_heads.prototypes(shots, asked), torch.tensor([[0.5**0.5, 0.0]]))
    named = intent_heads.named(intent_heads.prototypes)(shots, asked)
    assert torch.allclose(named, torch.tensor([[2 / 5**0.5, 0.0]]))


def test_every_head_is_far_above_chance_and_gives_each_class_a_score():
    shots, asked, labels = made_shots()
    for name, head in intent_heads.heads().items():
        scores = head(shots, asked)
        assert scores.shape == (len(asked), N_WAY), name
        assert float(accuracy(scores[None], labels[None])) > 0.8, name


def test_logistic_regression_is_a_distribution_and_wants_every_class():
    shots, asked, _ = made_shots()
    assert torch.allclose(
        intent_heads.logistic(shots, asked).exp().sum(1), torch.ones(len(asked)), atol=1e-5
    )
    without = shots._replace(z=shots.z[3:], labels=shots.labels[3:])
    with pytest.raises(ValueError, match="4 classes, 3 of them with examples"):
        intent_heads.logistic(without, asked)


def test_two_covariance_is_the_density_of_the_posterior_predictive():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40).repeat_interleave(20)
    z = torch.randn(40, 3, generator=generator)[labels] + 0.5 * torch.randn(
        800, 3, generator=generator
    )
    head = TwoCovariance.fit(z, labels, shrinkage=0.0)
    back = torch.linalg.inv(head.axes)
    within, between = (back.T @ b.diag() @ back for b in (torch.ones(3).double(), head.between))
    shots = Shots(z[[0, 1, 20, 21]], torch.tensor([0, 0, 1, 1]), torch.zeros(2, 3))
    x, asked = shots.z.double().view(2, 2, 3), z[40:45].double()
    m = x.mean((0, 1))
    v = torch.linalg.inv(torch.linalg.inv(between) + 2 * torch.linalg.inv(within))
    for c in range(2):
        mean = m + v @ torch.linalg.inv(within) @ (x[c] - m).sum(0)
        expected = multivariate_normal(mean.numpy(), (v + within).numpy()).logpdf(asked.numpy())
        ours = head(shots, z[40:45])[:, c].double().numpy()
        assert np.ptp(expected - ours) < 1e-4  # up to one constant
    assert torch.allclose(within.diagonal(), torch.full((3,), 0.25).double(), atol=0.05)


# Fine-tuning


class Top(nn.Module):
    """A stand-in for the top layers: a linear map of the mean state."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(D, D, bias=False)
        nn.init.eye_(self.map.weight)

    def forward(self, states, mask):
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return normalize(self.map(mean), dim=-1)

    @torch.no_grad()
    def encode(self, lower):
        return self(*lower.batch(torch.arange(len(lower))))


def made_states(seed=0, per=5):
    """Texts of 1 to 4 pieces; a class is told by two weak directions under strong noise in the others."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(N_WAY).repeat_interleave(per)
    lengths = torch.randint(1, 5, (len(labels),), generator=generator)
    own = labels.repeat_interleave(lengths)
    states = torch.randn(len(own), D, generator=generator)
    states[:, :N_WAY] = 0.5 * torch.eye(N_WAY)[own] + 0.05 * states[:, :N_WAY]
    return TokenStates(states, lengths, torch.zeros(len(own), 2, dtype=torch.long)), labels


def test_supervised_contrast_by_hand():
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1])
    expected = np.log(np.exp(1 / 0.5) + 1) - 1 / 0.5  # rows 0 and 1; row 2 has no twin
    assert float(supervised_contrast(z, labels, 0.5)) == pytest.approx(expected, rel=1e-5)
    assert float(supervised_contrast(z, torch.arange(3))) == 0


def test_contrast_falls_when_twins_approach_and_when_others_part():
    def loss(twin, other):
        z = torch.tensor([[0.0], [twin], [other]])
        z = torch.cat([z.cos(), z.sin()], dim=1)
        return float(supervised_contrast(z, torch.tensor([0, 0, 1])))

    assert loss(0.1, 1.0) < loss(0.3, 1.0)
    assert loss(0.3, 2.0) < loss(0.3, 1.0)


def test_batches_hold_every_row_once_and_twins_side_by_side():
    labels = torch.tensor([2, 0, 1, 0, 2, 1, 0, 0, 2])
    rows = torch.cat(list(batches(labels, 4, torch.Generator().manual_seed(0))))
    assert sorted(rows.tolist()) == list(range(9))
    alike = (labels[rows][1:] == labels[rows][:-1]).sum()
    assert int(alike) >= 4  # pairs: two of class 0, one of class 1, one of class 2
    again = torch.cat(list(batches(labels, 4, torch.Generator().manual_seed(1))))
    assert not torch.equal(rows, again)


def test_embedding_in_parts_is_embedding_at_once():
    lower, _ = made_states()
    rows = torch.tensor([3, 0, 7, 7, 12])
    assert torch.allclose(embed(Top(), lower, rows), Top().encode(lower)[rows], atol=1e-6)


def test_fine_tuning_learns_what_tells_new_texts_apart():
    lower, labels = made_states(per=8)
    new, new_labels = made_states(seed=1, per=25)
    start = Top()
    before = {name: p.clone() for name, p in start.named_parameters()}
    tuning = FineTuning(epochs=40, batch=16, lr=0.01)

    def right(top):
        shots = Shots(top.encode(lower), labels, torch.zeros(N_WAY, D))
        return float(
            (intent_heads.prototypes(shots, top.encode(new)).argmax(1) == new_labels)
            .double()
            .mean()
        )

    trained = tuning.fit(lower, labels, seed=0, start=start)
    assert right(trained) > right(start) + 0.2
    assert all(torch.equal(p, before[name]) for name, p in start.named_parameters())
    again = tuning.fit(lower, labels, seed=0, start=start)
    assert torch.equal(trained.map.weight, again.map.weight)
    other = tuning.fit(lower, labels, seed=1, start=start)
    assert not torch.equal(trained.map.weight, other.map.weight)


def test_chosen_states_are_those_of_the_texts():
    lower, _ = made_states()
    few = chosen(lower, torch.tensor([4, 1]))
    assert torch.equal(few.batch([0])[0], lower.batch([4])[0])
    assert torch.equal(few.batch([1])[0], lower.batch([1])[0])


# Projection


def test_a_projection_starts_as_nothing_and_learns_where_there_is_something_to_learn():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(30).repeat_interleave(12)
    centres = torch.randn(30, D, generator=generator) * torch.cat([torch.ones(4), torch.zeros(8)])
    noise = torch.randn(len(labels), D, generator=generator) * torch.cat(
        [0.3 * torch.ones(4), 1.5 * torch.ones(8)]
    )
    z = normalize(centres[labels] + noise, dim=-1)
    assert torch.allclose(Projection(D)(z), z, atol=1e-6)
    learned = learn_projection(z[:240], labels[:240], n_iterations=150, n_way=8, n_shots=3, lr=0.02)
    shots = Shots(
        z[240:].view(10, 12, D)[:, :3].flatten(0, 1),
        torch.arange(10).repeat_interleave(3),
        torch.zeros(10, D),
    )
    asked = z[240:].view(10, 12, D)[:, 3:].flatten(0, 1)
    truth = torch.arange(10).repeat_interleave(9)
    looks = {"as it is": lambda seed, k: Look(shots, {"test": asked})}
    looks["projected"] = Projected(looks["as it is"], learned)
    right = {}
    for name, look in looks.items():
        seen = look(0, 3)
        right[name] = float(
            (intent_heads.prototypes(seen.shots, seen.asked["test"]).argmax(1) == truth)
            .double()
            .mean()
        )
    assert right["projected"] > right["as it is"] + 0.05


# Out of scope


def test_the_threshold_keeps_its_share():
    scores = torch.linspace(0, 1, 101)
    least = out_of_scope.threshold(scores, 0.95)
    assert float((scores >= least).double().mean()) == pytest.approx(0.95, abs=0.01)


def scope_rows(seed=0):
    shots, asked, _ = made_shots(seed)
    outside = normalize(
        torch.randn(80, D, generator=torch.Generator().manual_seed(seed + 9)), dim=-1
    )
    look = Look(shots, {"test": asked[::2], "val": asked[1::2], "oos_test": outside})
    service = SimpleNamespace(seeds=[0, 1])
    return look, out_of_scope.judge_scope(service, lambda seed, k: look, shots=[3])


def test_auroc_is_that_of_sklearn_and_shares_are_counted():
    look, judged = scope_rows()
    rows = out_of_scope.pick(judged, "prototype, cosine", 3)
    found = out_of_scope.auroc(rows)
    cosine = out_of_scope.IN_SCOPE["prototype, cosine"]
    scores = torch.cat([cosine(look.shots, look.asked[p]) for p in ("test", "oos_test")])
    outside = np.arange(len(scores)) >= len(look.asked["test"])
    assert found.value == pytest.approx(100 * roc_auc_score(outside, -scores))
    assert found.low < found.value < found.high
    least = out_of_scope.threshold(cosine(look.shots, look.asked["val"]))
    recall = out_of_scope.share(rows, outside=True, refused=True)
    assert recall.value == pytest.approx(100 * float((scores[outside] < least).double().mean()))
    kept = out_of_scope.share(rows, outside=False, refused=False)
    assert kept.value == pytest.approx(100 * float((scores[~outside] >= least).double().mean()))
    same = out_of_scope.auroc(rows, rows)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_threshold_knows_validation_texts_alone():
    look, judged = scope_rows()
    changed = Look(look.shots, look.asked | {"oos_test": look.asked["oos_test"].flip(0)})
    again = out_of_scope.judge_scope(SimpleNamespace(seeds=[0, 1]), lambda s, k: changed, shots=[3])
    inside = ~judged["outside"]
    assert (
        judged[inside]
        .reset_index(drop=True)
        .equals(again[~again["outside"]].reset_index(drop=True))
    )


def test_prototype_distance_by_hand():
    shots = Shots(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]), torch.zeros(1, 2))
    assert float(
        out_of_scope.prototype_distance(shots, torch.tensor([[1.0, 0.0]]))
    ) == pytest.approx(-0.5)


# Transductive


def test_sinkhorn_shares_out():
    p = transductive.sinkhorn(
        5 * torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), 200
    ).exp()
    assert torch.allclose(p.sum(1), torch.ones(40), atol=1e-5)
    assert torch.allclose(p.sum(0), torch.full((4,), 10.0), atol=1e-2)


def test_transport_gains_where_questions_are_balanced_and_loses_where_they_are_not():
    balanced, skewed = [], []
    for seed in range(12):
        shots, asked, labels = made_shots(seed, n_shots=1, spread=2.2)
        few = torch.cat(
            [torch.arange(30), torch.tensor([31, 61, 91])]
        )  # of class 0, and one each of the others
        for rows, found in ((torch.arange(120), balanced), (few, skewed)):
            right = [
                float((head(shots, asked[rows]).argmax(1) == labels[rows]).double().mean())
                for head in (transductive.optimal_transport, intent_heads.prototypes)
            ]
            found.append(right[0] - right[1])
    assert np.mean(balanced) > 0.02
    assert np.mean(skewed) < -0.1


@pytest.mark.parametrize("name", list(transductive.TRANSDUCTIVE))
def test_a_method_is_called_transductive_if_and_only_if_it_is(name):
    shots, asked, _ = made_shots(n_shots=1, spread=1.5)
    head = transductive.TRANSDUCTIVE[name]
    alone = torch.cat([head(shots, one[None]) for one in asked])
    assert torch.allclose(head(shots, asked), alone, atol=1e-4) == ("transductive" not in name)


def test_skewed_rows_keep_every_class_and_fall_with_rank():
    labels = torch.arange(5).repeat_interleave(40)
    rows = transductive.skewed_rows(labels, torch.Generator().manual_seed(0), exponent=1.0)
    counts = sorted(torch.bincount(labels[rows]).tolist(), reverse=True)
    assert counts == [40, 20, 13, 10, 8]
    assert len(rows.unique()) == len(rows)
    assert len(transductive.skewed_rows(labels, torch.Generator(), exponent=0.0)) == 200


# FewRel through the encoder

TOKENS = ("The", "Old", "Bridge", "\n", "crosses", "the", "wide", "Wye", ",", "says", "Wye")


def test_spans_are_the_first_mentions_in_the_text_as_it_is_written():
    sentence = Sentence(TOKENS, (1, 2), (7, 10))
    text, spans = spanned(sentence)
    assert text == whole(sentence)
    assert [text[begin:end] for begin, end in spans] == ["Old Bridge", "Wye"]
    assert first_run((2, 3, 4, 7, 8)) == (2, 3, 4)
    over = Sentence(("a", "\n", "b"), (0, 1, 2), (2,))
    text, spans = spanned(over)
    assert [text[begin:end] for begin, end in spans] == ["a b", "b"]


def test_vector_prototypes_are_the_cosine_head_of_each_task():
    shots, asked, _ = made_shots()
    learner = CosinePrototypes(torch.cat([shots.z, asked])).fit(torch.arange(0))
    k = len(shots.z)
    support = Examples(torch.arange(k).view(1, -1), shots.labels[None])
    found = learner.predict(support, k + torch.arange(len(asked))[None])[0]
    assert torch.allclose(found, intent_heads.prototypes(shots, asked), atol=1e-6)


def test_the_background_s_metric_makes_classes_round():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(6).repeat_interleave(200)
    stretch = torch.linspace(0.2, 2, D)
    vectors = normalize(torch.randn(6, D, generator=generator)[labels]
                        + stretch * torch.randn(1200, D, generator=generator), dim=-1)  # fmt: skip
    learner = WithinPrototypes(vectors, labels, shrinkage=1e-3).fit(torch.arange(1200))
    inside = learner.z - torch.stack([learner.z[labels == c].mean(0) for c in range(6)])[labels]
    spread = torch.linalg.eigvalsh(inside.T @ inside / 1200)
    raw = vectors - torch.stack([vectors[labels == c].mean(0) for c in range(6)])[labels]
    before = torch.linalg.eigvalsh(raw.T @ raw / 1200)
    assert spread[-1] / spread[0] < 0.2 * before[-1] / before[0]


def test_shots_are_whole_and_some_are_left():
    assert whole_shots([5, 1]) == [1, 5]
    assert whole_shots((1, 5, 10), most=5) == [1, 5]
    for shots in ([0], [0, 5], [10]):
        said = refused(whole_shots, shots, 5)
        assert said == f"shots are {shots}, expected examples of each intent, from 1 to 5."
    assert "different whole numbers" in refused(whole_shots, [])
    assert "different whole numbers" in refused(whole_shots, [1, 1])


def test_no_draw_and_no_epoch_are_refused():
    assert refused(Service, made_intents(), []) == (
        "examples are to be drawn 0 times, expected 1 draw or more."
    )
    assert refused(FineTuning(epochs=0).fit, None, None) == "epochs is 0, expected 1 or more."


def test_what_cannot_be_had_makes_room_for_ours_and_is_said(monkeypatch):
    def gone(name, timeout):
        raise InputError(f"{name} cannot be fetched: no network.")

    monkeypatch.setattr(own_faq, "open_intents", gone)
    intents, encoder, missing = own_faq.intents_or_ours("banking77")
    assert (intents.source, encoder.name) == ("phone shop FAQ", "minilm")
    assert missing == ["banking77 cannot be fetched: no network."]
    monkeypatch.setattr(packages, "version_of", lambda name: None)
    intents, encoder, missing = own_faq.intents_or_ours("clinc150")
    assert (intents.source, encoder.name, len(missing)) == ("phone shop FAQ", "tfidf", 2)
    monkeypatch.undo()
    intents, encoder, missing = own_faq.intents_or_ours("simulated-intents")
    assert (intents.source, len(intents), encoder.name) == ("simulated phone shop", 20, "minilm")
    assert missing == []
    assert refused(own_faq.intents_or_ours, "bank77") == (
        "no intents are called 'bank77', expected banking77 or clinc150 or simulated-intents or ours."
    )
