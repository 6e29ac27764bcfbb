"""No leak in the contests without ratings: everyone who ranks a catalogue or foretells what is taken, on a small shop.

As `test_leaks` for ratings: each test of the innocent has a culprit in the same run, which it catches.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from made import seeded
from test_catalogue_verdict import DAY, made_shop

from fsl import Shop, user_tasks
from fsl.behaviours.contest import foretell, take_contenders
from fsl.cold_start.catalogue import rank_catalogue
from fsl.cold_start.verdict import verdict
from fsl.compare import against
from fsl.episodes import Examples
from fsl.learners.catalogue import RankingLearner, met_matrix, support_matrix
from fsl.ranking.roster import Contender, contenders
from fsl.tasks import split_by_time

SHOTS = (1, 3)
CULPRIT = "culprit"
METRIC = {"ranking": "ndcg@10", "taking": "auc"}


class Memory(RankingLearner):
    """What those took who share most with the support. Given the judged users themselves it knows their answers."""

    def fit(self, tasks, validation=None):
        self.met = torch.from_numpy(met_matrix(tasks).toarray())
        return self

    def scores(self, support):
        shared = torch.from_numpy(support_matrix(support, self.met.shape[1]).toarray()) @ self.met.T
        return shared**8 @ self.met


@dataclass
class Watched:
    """A contest whose learners are kept, with all that each was fitted on and was asked."""

    kind: str
    tasks: object
    seed: int = 0
    fitted: dict = field(default_factory=dict)
    given: dict = field(default_factory=dict)
    asked: dict = field(default_factory=dict)
    found: object = None

    def noted(self, name: str, learner):
        given, asked = self.given.setdefault(name, []), self.asked.setdefault(name, [])
        fit, refresh, predict = learner.fit, learner.refresh, learner.predict
        everything = self.tasks if name == CULPRIT else None

        def watched_fit(tasks, validation=None):
            given.append(everything or tasks)
            self.fitted[name] = predict
            return fit(everything or tasks)

        def watched_refresh(tasks):
            given.append(everything or tasks)
            return refresh(everything or tasks)

        def watched_predict(support, query_inputs):
            asked.append((support, query_inputs))
            return predict(support, query_inputs)

        learner.fit, learner.refresh, learner.predict = (
            watched_fit,
            watched_refresh,
            watched_predict,
        )
        return learner

    def run(self) -> "Watched":
        made = contenders if self.kind == "ranking" else take_contenders
        entries = [*made(self.tasks, effort=0.3, shots=SHOTS)]
        entries.append(Contender(CULPRIT, lambda seed: [Memory()]))
        watched = [
            replace(one, make=lambda seed, one=one: [self.noted(one.name, one.make(seed)[0])])
            for one in entries
        ]
        options = {"max_tasks": None, "seeds": (self.seed,)}
        if self.kind == "ranking":
            options["metrics"] = ("ndcg@10",)
        judge = rank_catalogue if self.kind == "ranking" else foretell
        self.found = judge(self.tasks, watched, (0, *SHOTS), **options)
        return self

    @property
    def innocent(self) -> list[str]:
        return [name for name in self.fitted if name != CULPRIT]

    def shared(self, name: str) -> int:
        """How many judged users are in what was given to learn from."""
        judged = set(self.found.records["task"])
        return max(len(judged & set(t.subject_ids[t.subjects.numpy()])) for t in self.given[name])

    def ahead(self, reference: str = "most popular") -> set[str]:
        """Who is surely ahead of the reference at some K, after Holm."""
        table, names = self.found.records, [n for n in self.fitted if n != reference]
        found = set()
        for _, part in table.groupby("partition"):
            for k in SHOTS:
                lines = against(part, reference, names, METRIC[self.kind], k)
                found |= set(lines.query("low > 0 and p_holm < 0.05")["learner"])
        return found


def without_taste(shop: Shop) -> Shop:
    """Every taken thing belongs to somebody else's row, so that what is popular is all there is to know."""
    table = shop.interactions
    lots = np.random.default_rng(0).permutation(len(table))
    table = table.assign(item=table["item"].to_numpy()[lots])
    return Shop(table.drop_duplicates(["user", "item"]), items=shop.items)


@pytest.fixture(scope="module")
def shop():
    return made_shop(320)


@pytest.fixture(scope="module", params=list(METRIC))
def everyone(request, shop):
    return Watched(request.param, user_tasks(shop, implicit=True)).run()


def test_nobody_learns_from_a_judged_user(everyone):
    assert set(everyone.found.records["learner"]) >= set(everyone.fitted)
    assert everyone.found.order == "temporal"
    for name in everyone.innocent:
        assert everyone.given[name], name
        assert everyone.shared(name) == 0, name
    assert everyone.shared(CULPRIT) == everyone.found.records["task"].nunique() > 20


def last_asked(watched: Watched, name: str):
    """The largest support and its query, of several users: the last but those of the clock."""
    return max(watched.asked[name], key=lambda pair: (len(pair[0].inputs), pair[0].inputs.shape[1]))


def test_predictions_are_the_same_again_and_whatever_the_order_of_the_test_users(everyone):
    for name in everyone.innocent:
        predict = everyone.fitted[name]
        support, query = last_asked(everyone, name)
        order = torch.randperm(len(query), generator=seeded(1))
        turned, few = (Examples(*(side[o] for side in support)) for o in (order, slice(3)))
        with torch.no_grad():
            first = predict(support, query)
            assert torch.equal(predict(support, query), first), name
            torch.testing.assert_close(predict(turned, query[order]), first[order], msg=name)
            torch.testing.assert_close(predict(few, query[:3]), first[:3], msg=name)


def test_nothing_is_learned_from_what_comes_later(everyone, shop):
    """What is taken from the first test moment on becomes something else: who learned before cannot know."""
    moment = float(split_by_time(everyone.tasks, (0.7, 0.1, 0.2)).test.times.min())
    table = shop.interactions.copy()
    later = table["timestamp"] >= moment
    turned = 23 - table.loc[later, "item"].str[1:].astype(int)
    table.loc[later, "item"] = "i" + turned.astype(str)
    assert table["timestamp"].max() - moment > 20 * DAY
    other = Watched(everyone.kind, user_tasks(Shop(table, items=shop.items), implicit=True)).run()
    assert list(other.tasks.object_ids) == list(everyone.tasks.object_ids)
    differs = set()
    for name, predict in everyone.fitted.items():
        support, query = last_asked(everyone, name)
        with torch.no_grad():
            same = torch.equal(predict(support, query), other.fitted[name](support, query))
        differs |= set() if same else {name}
    assert differs == {CULPRIT}


def test_without_taste_nobody_is_ahead_of_what_is_popular(everyone, shop):
    tasks = user_tasks(without_taste(shop), implicit=True)
    assert Watched(everyone.kind, tasks).run().ahead() == {CULPRIT}
    assert len(everyone.ahead() - {CULPRIT}) >= 3, "true tastes teach"


def test_the_same_seed_gives_the_same_records_and_words_byte_for_byte(everyone):
    said = []
    for start in (0, 7):
        torch.manual_seed(start)  # the global generators are none of its business
        np.random.seed(start)  # noqa: NPY002
        run = everyone if start == 0 else Watched(everyone.kind, everyone.tasks).run()
        found = run.found
        parts = found.records.groupby("partition", sort=False)
        words = [
            str(verdict(part, found.simple, found.meta, METRIC[run.kind])) for _, part in parts
        ]
        said.append((found.records.to_csv().encode(), found.use.to_csv().encode(), words))
    assert said[0] == said[1]
