"""The shop as an environment: rules by hand, the same visits one by one and all at once, an honest replay."""

import sys

import numpy as np
import pytest
import torch
from scipy.stats import kstest

import fsl
from fsl.environment import QUESTIONS, SHOW, Replay, Rules, Visits
from fsl.environment.draws import bits, normals, uniforms
from fsl.environment.rules import BOUGHT, IGNORED, LIKED, LOOKED, NOTHING
from fsl.environment.visits import TYPICAL_BUDGET, visiting_pairs
from fsl.environment.words import turn_in_words, visit_in_words
from fsl.errors import InputError
from fsl.simulate import ATTRIBUTES, SCENE_NAMES, SCENES
from fsl.tasks import user_tasks


@pytest.fixture(scope="module")
def shop():
    return fsl.simulate_shop(80, 30, 0)[0]


def steps(visits, kinds, phones):
    """Rewards, reactions and answers of a plan, [n_turns, n, …] each."""
    turns = [visits.step(k, p) for k, p in zip(kinds, phones, strict=True)]
    return tuple(
        np.array([getattr(t, name) for t in turns]) for name in ("reward", "reactions", "answer")
    )


def test_numbers_by_name_are_uniform_normal_and_unrelated():
    one, other = uniforms(3, 1, np.arange(20_000)), uniforms(3, 2, np.arange(20_000))
    assert kstest(one, "uniform").pvalue > 1e-3
    assert kstest(normals(4, np.arange(20_000)), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.03
    assert (one > 0).all() and (one < 1).all()  # noqa: PT018


def test_a_number_depends_on_its_name_alone():
    names = np.array([[5, 0], [7, 123456]])
    assert bits(9, 2, names)[1, 1] == bits(9, 2, 123456)
    assert bits(9, 2, 5) != bits(9, 5, 2)
    assert bits(9, 2, 5) != bits(8, 2, 5)


@pytest.mark.parametrize("n_slots", [1, 3])
def test_one_by_one_and_all_at_once_are_the_same_visits(shop, n_slots):
    rng, n, rules = np.random.default_rng(0), 40, Rules(n_slots=n_slots)
    kinds = rng.integers(1 + len(QUESTIONS), size=(10, n)) * (rng.random((10, n)) < 0.3)
    phones = rng.integers(31, size=(10, n, n_slots))
    visits = Visits.of_shop(shop, rules=rules, seed=4)
    visits.arrive(np.arange(n))
    together = steps(visits, kinds, phones)
    assert (together[1] == BOUGHT).any()
    for v in range(n):
        alone = Visits.of_shop(shop, rules=rules, seed=4)
        alone.arrive(np.array([v]))
        one = steps(alone, kinds[:, [v]], phones[:, [v]])
        assert all(np.array_equal(a[:, 0], b[:, v]) for a, b in zip(one, together, strict=True))


def test_a_reaction_is_the_felt_appeal_cut_at_the_rules(shop):
    rules = Rules(patience=50, n_turns=50, buys_from=4.0)
    visits = Visits.of_shop(shop, rules=rules, seed=1)
    visits.arrive(np.arange(60))
    noise = np.array([SCENES[name].noise for name in SCENE_NAMES])[visits.visitors.scenes]
    appeal = visits.appeal()[:, 3]
    turn = visits.step(np.full(60, SHOW), np.full((60, 1), 3))
    felt = appeal + noise * normals(1, 2, np.arange(60), 3)
    cuts = ((LOOKED, 2.5), (LIKED, 3.5), (BOUGHT, 4.0))
    expected = np.full(60, IGNORED)
    for reaction, least in cuts:
        expected[felt >= least] = reaction
    assert np.array_equal(turn.reactions[:, 0], expected)
    worth = np.where(expected == BOUGHT, appeal - rules.pocket, 0) - rules.turn_cost
    assert turn.reward == pytest.approx(worth)
    assert np.array_equal(turn.left, expected == BOUGHT)
    again = visits.step(np.full(60, SHOW), np.full((60, 1), 3))
    assert set(again.reactions[~turn.left, 0]) == {IGNORED}
    assert (again.reward[turn.left] == 0).all()
    assert set(again.reactions[turn.left, 0]) == {NOTHING}


def test_questions_are_answered_with_the_truth_and_cost(shop):
    visits = Visits.of_shop(shop, rules=Rules(answer_noise=0), seed=2)
    who = visits.arrive(np.arange(12))
    truth, nothing = shop.truth, np.full((12, 1), 30)
    budget = visits.step(np.full(12, 1), nothing)
    assert budget.answer == pytest.approx(np.log(truth.budgets[who.users] / TYPICAL_BUDGET))
    assert budget.reward == pytest.approx(-0.1)
    camera = visits.step(np.full(12, 1 + QUESTIONS.index("camera")), nothing).answer
    place = ATTRIBUTES.index("camera")
    emphasis = np.array([SCENES[SCENE_NAMES[s]].emphasis[place] for s in who.scenes])
    taste = truth.tastes[who.users, place] + truth.scene_tastes[who.users, who.scenes, place]
    assert camera == pytest.approx(emphasis * taste)
    brand = visits.step(np.full(12, len(QUESTIONS)), nothing).answer
    assert brand == pytest.approx(truth.os_match[who.users])


def test_patience_runs_out_twice_as_fast_when_ignored(shop):
    rules = Rules(patience=4, patience_spread=0, looks_from=99, likes_from=99, buys_from=99)
    visits = Visits.of_shop(shop, rules=rules)
    visits.arrive(np.arange(5))
    left = [visits.step(np.zeros(5, int), np.full((5, 1), i)).left for i in range(3)]
    assert [side.all() for side in left[:2]] == [False, True]
    assert not left[2].any(), "who is gone does not leave again"
    visits.arrive(np.arange(5))
    asked = [visits.step(np.ones(5, int), np.full((5, 1), 30)).left for _ in range(4)]
    assert [side.all() for side in asked] == [False, False, False, True]


def test_only_those_who_visit_a_scene_come(shop):
    visits = Visits.of_shop(shop, np.arange(20), "livestream")
    pairs = {tuple(pair) for pair in visiting_pairs(shop)}
    found = visits.arrive(np.arange(2 * len(visits.pairs)))
    assert set(found.scenes) == {SCENE_NAMES.index("livestream")}
    assert found.users.max() < 20
    assert {(u, s) for _, u, s in zip(*found, strict=True)} <= pairs
    assert (np.bincount(found.users)[np.unique(found.users)] == 2).all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"n_turns": 0}, "n_turns is 0, expected 1 or more"),
        ({"turn_cost": -1}, "turn_cost is -1, expected 0 or more"),
        ({"looks_from": 9}, "expected them in rising order"),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong, told):
    with pytest.raises(InputError, match=told):
        Rules(**wrong)


def test_bad_shops_and_scenes_are_refused(shop):
    with pytest.raises(InputError, match="scene is 'mall', expected one of offline_store"):
        Visits.of_shop(shop, scene="mall")
    real = fsl.Shop(shop.interactions, shop.users, shop.items, name="mine")
    with pytest.raises(InputError, match="mine is no simulated shop"):
        Visits.of_shop(real)


def ratings(shop):
    first = shop.interactions.drop_duplicates(["user", "item"])
    return user_tasks(fsl.Shop(first, shop.users, shop.items, name="mine"))


def test_replay_gives_each_users_own_ratings_and_each_once(shop):
    tasks = ratings(shop).subset(torch.arange(10))
    replay = Replay(tasks)
    total = torch.zeros(10, dtype=torch.float64)
    for place in range(replay.arms.shape[1]):
        places = torch.full((10,), place)
        arms = replay.arms[:, place]
        given, here = replay.play(torch.where(replay.open[:, place], places, 0))
        for user in here.nonzero()[:, 0]:
            own = slice(tasks.offsets[user], tasks.offsets[user + 1])
            where = tasks.objects[own] == arms[user]
            assert given[user] == tasks.targets[own][where].item()
        total += given
    assert total.tolist() == pytest.approx(
        [float(x.sum()) for x in tasks.targets.split(tasks.sizes.tolist())]
    )
    assert not replay.open.any()


def test_replay_refuses_what_is_not_open_and_what_is_there_twice(shop):
    tasks = ratings(shop).subset(torch.arange(4))
    replay = Replay(tasks)
    replay.play(torch.zeros(4, dtype=torch.long))
    with pytest.raises(InputError, match="user 0: arm 0 is not open"):
        replay.play(torch.zeros(4, dtype=torch.long))
    with pytest.raises(InputError, match="rated an item twice"):
        Replay(user_tasks(shop))
    with pytest.raises(InputError, match="no user to replay"):
        Replay(tasks.subset(torch.arange(0)))


def test_gymnasiums_checker_passes(shop):
    checker = pytest.importorskip("gymnasium.utils.env_checker")
    from fsl.environment import ReplayEnv, ShopEnv

    for n_slots in (1, 2):
        checker.check_env(ShopEnv(shop, rules=Rules(n_slots=n_slots)), skip_render_check=True)
    checker.check_env(ReplayEnv(ratings(shop).subset(torch.arange(6))), skip_render_check=True)


def test_gymnasiums_single_and_vector_environments_agree(shop):
    pytest.importorskip("gymnasium")
    from fsl.environment import ShopEnv, ShopVectorEnv

    n, rng = 6, np.random.default_rng(1)
    many, one = ShopVectorEnv(n, shop), ShopEnv(shop)
    actions = np.stack(
        [
            rng.integers(7, size=(40, n)) * (rng.random((40, n)) < 0.2),
            rng.integers(30, size=(40, n)),
        ],
        -1,
    )
    seen, _ = many.reset(seed=3)
    log = [(seen, np.zeros(n), np.zeros(n, bool))]
    for action in actions:
        seen, reward, left, late, _ = many.step(action)
        log.append((seen, reward, left | late))
    for place in range(n):
        own, _ = one.reset(seed=3, options={"visitor": place})
        visitor, over = place, False
        for t, action in enumerate(actions[:, place]):
            if over:
                visitor += n
                own, _ = one.reset(options={"visitor": visitor})
                reward, over = 0.0, False
            else:
                own, reward, left, late, _ = one.step(action)
                over = left or late
            seen, rewards, overs = log[t + 1]
            assert (reward, over) == (rewards[place], overs[place])
            assert all(np.array_equal(own[name], seen[name][place]) for name in own)
        assert visitor > place, "the next one came"


def test_replay_env_pays_the_ratings(shop):
    pytest.importorskip("gymnasium")
    from fsl.environment import ReplayEnv

    tasks = ratings(shop).subset(torch.arange(3))
    env = ReplayEnv(tasks, n_turns=2)
    seen, _ = env.reset(seed=0)
    assert seen["open"].sum() == tasks.sizes[0]
    _, reward, over, late, _ = env.step(0)
    assert reward == tasks.targets[0]
    assert not over
    assert not late
    _, reward, over, _, told = env.step(0)
    assert (reward, over, told) == (0.0, True, {"closed": True})


def test_without_gymnasium_one_sentence_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fsl.environment.gym_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(
        InputError, match=r"ShopEnv needs Gymnasium.*pip install 'fsl\[interaction\]'"
    ):
        from fsl.environment import ShopEnv  # noqa: F401


def test_turns_in_words(shop):
    seen = {"turn": 2, "scene": 1, "asked": 0, "answer": [0.0], "shown": [4], "reactions": [LIKED]}
    name = shop.items["name"][4]
    assert turn_in_words(seen, shop) == f"turn 2, ecommerce: shows {name}, like"
    seen |= {"asked": 2, "answer": [0.5]}
    assert turn_in_words(seen, shop) == "turn 2, ecommerce: asks about camera, +0.50"
    lines = visit_in_words(Visits.of_shop(shop), 0, [(1, 0), (0, 3)])
    assert lines[0].startswith("turn 1  budget?")
    assert lines[1].startswith("turn 2  phone 3:")
