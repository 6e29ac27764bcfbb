"""Bandits: the belief against the textbook, priors against their learners, policies against limit cases."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal

import fsl
from fsl.bandits import (
    UCB,
    Belief,
    Clairvoyant,
    EpsilonGreedy,
    FlatPrior,
    Greedy,
    MetaPrior,
    Popular,
    ProcessPrior,
    Random,
    Thompson,
)
from fsl.bandits.adapted import Adapted
from fsl.bandits.arrivals import arrival_table
from fsl.bandits.by_scene import by_scene, scene_of_subject
from fsl.bandits.drift import (
    drift_table,
    first_shown,
    phone_arrives,
    stream_regret,
    tastes_turn,
    turns_to_recover,
)
from fsl.bandits.play import compete, play
from fsl.bandits.practice import (
    guided_rewards,
    policy_gradient_loss,
    practised,
    train_guide,
)
from fsl.bandits.priors import ALPaCAPrior
from fsl.bandits.recurrent import Rollout, drawn
from fsl.bandits.roster import priors
from fsl.bandits.rounds import ReplayRounds
from fsl.bandits.settings import replay_settings, shop_setting
from fsl.bandits.study import contenders, tuned
from fsl.bandits.verdict import gains, gains_table, regret_saved
from fsl.environment import Visits
from fsl.episodes import Examples
from fsl.errors import InputError
from fsl.learners import EmpiricalBayes, ShrunkBias
from fsl.tasks import user_tasks

N, A, D = 5, 6, 3


@pytest.fixture(scope="module")
def shop():
    return fsl.simulate_shop(150, 25, 0)[0]


@pytest.fixture(scope="module")
def setting(shop):
    return shop_setting(shop, n_turns=4)


@pytest.fixture(scope="module")
def tasks(shop):
    first = shop.interactions.drop_duplicates(["user", "item"])
    return user_tasks(fsl.Shop(first, shop.users, shop.items, name="mine"))


@pytest.fixture
def belief():
    rng = torch.Generator().manual_seed(0)

    def some(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    root = some(N, D, D)
    return Belief(
        some(N, A), some(N, A, D), some(N, D), root @ root.mT + torch.eye(D), some(N, A).exp()
    )


def textbook(belief, arms, reactions):
    """Rasmussen & Williams 2006, eq. 2.11, one visitor at a time in numpy."""
    means, covariances = [], []
    for n in range(N):
        phi = belief.features[n, arms[n]].numpy()
        weight = phi / belief.noise[n, arms[n]].numpy()[:, None]
        start = np.linalg.inv(belief.covariance[n].numpy())
        covariance = np.linalg.inv(start + phi.T @ weight)
        left = reactions[n].numpy() - belief.base[n, arms[n]].numpy()
        means.append(covariance @ (start @ belief.mean[n].numpy() + weight.T @ left))
        covariances.append(covariance)
    return np.array(means), np.array(covariances)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_step_by_step_is_the_textbooks_posterior_in_any_order(belief, order):
    arms = torch.tensor([[0, 3, 5]] * N)
    reactions = torch.arange(15.0).view(N, 3)
    found = belief
    for k in order:
        found = found.after(arms[:, k], reactions[:, k])
    mean, covariance = textbook(belief, arms, reactions)
    assert found.mean.numpy() == pytest.approx(mean)
    assert found.covariance.numpy() == pytest.approx(covariance)
    spread = np.einsum("nad,nde,nae->na", belief.features, covariance, belief.features)
    assert found.sd().numpy() == pytest.approx(np.sqrt(spread))


def test_who_is_not_here_teaches_nothing(belief):
    here = torch.tensor([True, False, True, False, True])
    found = belief.after(torch.ones(N, dtype=torch.long), torch.full((N,), 4.0), here)
    assert torch.equal(found.mean[~here], belief.mean[~here])
    assert torch.allclose(found.covariance[~here], belief.covariance[~here])
    assert not (found.mean[here] == belief.mean[here]).any()


def test_draws_have_the_beliefs_mean_and_covariance(belief):
    one = Belief(
        *(
            side[:1].expand(40_000, *side.shape[1:])
            for side in (belief.base, belief.features, belief.mean, belief.covariance, belief.noise)
        )
    )
    z = torch.randn(40_000, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    draws = one.drawn(z)
    assert draws.mean(0).numpy() == pytest.approx(belief.expected()[0].numpy(), abs=0.06)
    phi, covariance = belief.features[0], belief.covariance[0]
    assert torch.cov(draws.T).numpy() == pytest.approx(
        (phi @ covariance @ phi.T).numpy(), rel=0.05, abs=0.1
    )
    assert torch.equal(one.drawn(z, scale=0.0), one.expected())


def test_an_answer_is_one_more_row(belief):
    u, answer = belief.features[:, 2], torch.linspace(-1, 1, N).double()
    told = belief.told(u, answer, 0.3)
    plain = Belief(
        torch.zeros(N, A).double(),
        belief.features,
        belief.mean,
        belief.covariance,
        torch.full((N, A), 0.3).double(),
    )
    row = plain.after(torch.full((N,), 2), answer)
    assert torch.allclose(told.mean, row.mean)
    assert torch.allclose(told.covariance, row.covariance)


def test_forgetting_ends_at_the_prior_and_keeps_it(belief):
    known = belief.after(torch.zeros(N, dtype=torch.long), torch.ones(N))
    assert torch.equal(known.forgetting(1.0, belief).mean, known.mean)
    assert torch.allclose(known.forgetting(0.0, belief).covariance, belief.covariance)
    assert torch.allclose(belief.forgetting(0.7, belief).covariance, belief.covariance)
    with pytest.raises(ValueError, match="kept must be from 0 to 1, got 2"):
        known.forgetting(2, belief)


def support_of(tasks, arms, targets, subjects):
    inputs = torch.stack([subjects[:, None].expand_as(arms), arms], -1)
    return Examples(inputs, targets.float())


def known_and_asked(tasks, n=6):
    subjects, arms = tasks.subjects[:n], torch.arange(10).expand(n, -1)
    asked = torch.stack([subjects[:, None].expand_as(arms), arms], -1)
    known = torch.tensor([[2, 7]] * n)
    return subjects, arms, asked, known, torch.linspace(1, 5, 2 * n).view(n, 2).double()


@pytest.mark.parametrize("n_fits", [1, 2])
def test_the_meta_prior_is_empirical_bayes(tasks, n_fits):
    prior = MetaPrior(3, n_fits).fit(tasks)
    learner = EmpiricalBayes(3, n_fits, seed=0).fit(tasks)
    subjects, arms, asked, known, targets = known_and_asked(tasks)
    belief = prior.belief(subjects, arms)
    for k in range(3):
        support = support_of(tasks, known[:, :k], targets[:, :k], subjects)
        mean, variance = learner.distribution(support, asked)
        assert belief.expected().numpy() == pytest.approx(mean.numpy(), abs=1e-4)
        assert (belief.sd() ** 2 + belief.noise).numpy() == pytest.approx(
            variance.numpy(), abs=1e-4
        )
        if k < 2:
            belief = belief.after(known[:, k], targets[:, k])


def test_the_process_prior_is_the_gaussian_process(tasks):
    some = tasks.subset(torch.arange(12))
    prior = ProcessPrior().fit(some)
    subjects, arms, asked, known, targets = known_and_asked(tasks)
    belief = prior.belief(subjects, arms)
    for k in range(2):
        support = support_of(tasks, known[:, :k], targets[:, :k], subjects)
        mean, variance = prior.learner.distribution(support, asked)
        assert belief.expected().numpy() == pytest.approx(mean.numpy(), abs=1e-4)
        assert (belief.sd() ** 2 + belief.noise).numpy() == pytest.approx(
            variance.numpy(), abs=1e-4
        )
        belief = belief.after(known[:, k], targets[:, k])


def test_the_alpaca_prior_is_alpaca(tasks):
    prior = ALPaCAPrior(n_iterations=3).fit(tasks)
    subjects, arms, asked, known, targets = known_and_asked(tasks)
    belief = prior.belief(subjects, arms).after(known[:, 0], targets[:, 0])
    mean, variance = prior.learner.distribution(
        support_of(tasks, known[:, :1], targets[:, :1], subjects), asked
    )
    assert belief.expected().numpy() == pytest.approx(mean.detach().numpy(), abs=1e-3)
    assert (belief.sd() ** 2 + belief.noise).numpy() == pytest.approx(
        variance.detach().numpy(), abs=1e-3
    )


def test_a_scene_with_wilder_tastes_gets_the_wider_prior(setting):
    tasks = setting.train
    fit = EmpiricalBayes(2, seed=0).fit(tasks).fits[0]
    scene = scene_of_subject(tasks) % 2
    rng = torch.Generator().manual_seed(0)
    own = torch.tensor([0.3, 1.5]).double()[scene[tasks.subjects]]
    w = own[:, None] * torch.randn(len(tasks), 3, generator=rng, dtype=torch.float64)
    noise = torch.tensor([0.8, 0.2]).double()[scene[tasks.subjects]][tasks.task_of_row]
    phi, owner = fit.loadings[tasks.objects], tasks.task_of_row
    mean = fit.subject_means[tasks.subjects][owner] + w[owner]
    luck = noise * torch.randn(tasks.n_rows, generator=rng, dtype=torch.float64)
    told = replace(tasks, targets=(fit.base[tasks.objects] + (phi * mean).sum(1) + luck).float())
    found = by_scene(fit, told, scene, trust=1.0)
    assert found.covariance[0].trace() < found.covariance[1].trace() / 3
    assert found.noise[1] < found.noise[0]
    assert scene_of_subject(user_tasks(fsl.simulate_shop(20, 5, 0)[0])).tolist() == [0] * 20


@pytest.fixture(scope="module")
def policies(setting):
    meta, flat = MetaPrior(2, 1).fit(setting.train), FlatPrior().fit(setting.train)
    return {
        "greedy": Greedy(meta), "ucb": UCB(meta), "thompson": Thompson(meta), "flat": Thompson(flat),
        "ε": EpsilonGreedy(flat, epsilon=0.3), "borrowed": UCB(FlatPrior(1.0, meta).fit(setting.train)),
        "popular": Popular().fit(setting.train),
    }  # fmt: skip


def test_without_exploring_all_linear_policies_are_greedy(setting, policies):
    rounds, prior = setting.test["ecommerce"], policies["greedy"].prior
    expected = play(policies["greedy"], rounds, 4)
    for same in (
        UCB(prior, width=0.0),
        Thompson(prior, scale=0.0),
        EpsilonGreedy(prior, epsilon=0.0),
    ):
        assert torch.equal(play(same, rounds, 4), expected)
    assert torch.equal(
        play(EpsilonGreedy(prior, epsilon=1.0), rounds, 4), play(Random(), rounds, 4)
    )


def test_the_same_seed_gives_the_same_records_byte_for_byte(setting, policies):
    rounds = setting.test["ecommerce"]
    first, again = (compete(policies, rounds, 4, (0, 1)).to_csv() for _ in range(2))
    assert first == again
    other = compete(policies, rounds, 4, (2, 3))
    assert other.to_csv() != first


def test_a_visitors_choices_do_not_depend_on_who_else_is_there(tasks):
    some = tasks.subset((tasks.sizes >= 6).nonzero()[:12, 0])
    prior = MetaPrior(2, 1).fit(tasks)
    for policy in (
        Thompson(prior),
        EpsilonGreedy(prior, epsilon=0.5),
        Random(),
        Adapted(ShrunkBias().fit(tasks)),
    ):
        together = play(policy, ReplayRounds(some), 4)
        alone = play(policy, ReplayRounds(some.subset(torch.arange(5, 12))), 4)
        assert torch.equal(alone, together[5:])


def test_in_a_replay_nobody_beats_the_clairvoyant_and_all_end_equal(tasks, policies):
    some = tasks.subset((tasks.sizes >= 5).nonzero()[:15, 0])
    rounds = ReplayRounds(some)
    records = compete({"popular": policies["popular"]}, rounds, int(some.sizes.max()))
    regret = records[records["metric"] == "regret"]
    assert (regret["value"] >= 0).all()
    assert (regret[regret["learner"] == "clairvoyant"]["value"] == 0).all()
    last = regret[regret["n_shots"] == regret["n_shots"].max()]
    assert last["value"].abs().max() == 0, "all arms were played, in whatever order"


def test_popularity_by_hand(tasks):
    counts = np.bincount(tasks.objects, minlength=25)
    assert Popular("count").fit(tasks).order.tolist() == counts.tolist()
    middle = tasks.targets.double().mean()
    mine = tasks.targets[tasks.objects == 3].double()
    shrunk = middle + (mine - middle).sum() / (len(mine) + 5)
    assert Popular().fit(tasks).order[3] == pytest.approx(float(shrunk))
    with pytest.raises(ValueError, match='by must be "count" or "mean"'):
        Popular("fame").fit(tasks)


def test_tuning_takes_what_earns_most(setting):
    best = tuned({"x": [Random(), Clairvoyant(), Random()]}, setting.validation, 4)
    assert best == {"x": 1}


def test_taken_names_and_too_short_replays_are_refused(setting, tasks, shop):
    with pytest.raises(ValueError, match="the names random, clairvoyant are taken, rename random"):
        compete({"random": Random()}, setting.test["ecommerce"], 2)
    first = shop.interactions.drop_duplicates(["user", "item"])
    with pytest.raises(InputError, match="mine: nobody rated 99 items"):
        replay_settings(fsl.Shop(first, shop.users, shop.items, name="mine"), 10, 99)


def test_test_users_train_no_prior(setting):
    trained = set(setting.train.subject_ids[setting.train.subjects.numpy()].get_level_values(0))
    for part in (setting.validation, setting.test):
        assert not trained & {user for rounds in part.values() for user in rounds.groups}


def test_gains_and_saved_regret_by_hand():
    rows = [(name, 2, task, metric, value) for metric, ours, theirs in (("reward", 3.0, 1.0), ("regret", 1.0, 4.0))
            for task in range(6) for name, value in (("a", ours), ("b", theirs))]  # fmt: skip
    records = pd.DataFrame(rows, columns=["learner", "n_shots", "task", "metric", "value"])
    records = records.assign(partition="p", seed=0, group=records["task"])
    found = gains(records, ["a"], ["b", "absent"], 2)
    assert [tuple(vars(gap).values()) for gap in found.values()] == [(2.0, 2.0, 2.0)]
    assert gains_table(found).loc["a minus b", "p"] == "+2.00 [+2.00, +2.00] *"
    assert regret_saved(records, "a", "b", 2).value == pytest.approx(0.75)


def test_the_policy_gradients_loss_by_hand():
    rewards, here = (
        torch.tensor([[1.0, 2.0], [3.0, 0.0]]),
        torch.tensor([[True, True], [True, False]]),
    )
    log_p = torch.tensor([[-1.0, -2.0], [-0.5, -9.0]], requires_grad=True)
    found = Rollout(rewards, log_p, torch.ones(2, 2), torch.zeros(2, 2), here)
    spread = torch.tensor([3.0, 2.0, 3.0]).std()
    by_hand = ((3 * 1 + 2 * 2 + 3 * 0.5) / spread + 0.5 * (9 + 4 + 9) - 0.1 * 3) / 3
    loss = policy_gradient_loss(found, 0.1)
    assert float(loss.detach()) == pytest.approx(float(by_hand))
    loss.backward()
    assert log_p.grad[1, 1] == 0, "a turn that did not take place teaches nothing"


def test_actions_are_drawn_as_often_as_they_are_likely():
    p = torch.tensor([0.1, 0.6, 0.0, 0.3])
    found = drawn(p.log().expand(20_000, -1), 0, np.arange(20_000), 1)
    assert (torch.bincount(found, minlength=4) / 20_000).numpy() == pytest.approx(
        p.numpy(), abs=0.015
    )


def test_the_recurrent_guide_learns_the_same_from_the_same_seed(shop):
    content = torch.randn(25, 4, generator=torch.Generator().manual_seed(0))
    visits = Visits.of_shop(shop)
    (one, curve), (_, again) = (train_guide(content, visits, 3, 4, 16, seed=1) for _ in range(2))
    assert np.array_equal(curve, again)
    assert not np.array_equal(curve, train_guide(content, visits, 3, 4, 16, seed=2)[1])
    few, many = guided_rewards(one, visits, np.arange(3)), guided_rewards(one, visits, np.arange(9))
    assert torch.allclose(few, many[:3])


def test_the_recurrent_guide_knows_phones_that_nobody_rated(shop):
    rated = shop.interactions["item"].unique()[:-2]
    fewer = replace(shop, interactions=shop.interactions[shop.interactions["item"].isin(rated)])
    assert len(shop_setting(fewer, 4).train.object_ids) < len(shop.items)
    guides, curves = practised(Visits.of_shop(fewer), fewer, 3, 2, [0])
    assert len(guides[0].content) == len(shop.items)
    assert curves.shape == (1, 2)


def test_a_stream_changes_when_it_should(setting, policies):
    rounds = setting.test["ecommerce"]
    new = torch.zeros(25, dtype=torch.bool)
    new[4] = True
    turning, arriving = tastes_turn(rounds, 3), phone_arrives(rounds, new, 3)
    regret, _ = stream_regret(Clairvoyant(), turning, 6)
    assert (regret[:, :3] == 0).all()
    assert (regret[:, 3:] > 0).any(), "it knows the tastes that were"
    _, news = stream_regret(Random(), arriving, 60)
    assert not news[:, :3].any()
    assert news[:, 3:].any(1).mean() > 0.8
    kept = stream_regret(UCB(policies["ucb"].prior, curious=True), arriving, 5)[0]
    assert np.array_equal(
        kept, stream_regret(UCB(policies["ucb"].prior, curious=True), arriving, 5)[0]
    )


def test_doubt_brings_a_new_phone_forward(setting, policies):
    rounds = setting.test["ecommerce"]
    rounds.start()
    best = torch.bincount(rounds.worth().argmax(1), minlength=25)
    new = best >= best.topk(4).values[-1]  # the phones that are the best for most
    arriving = phone_arrives(rounds, new, 3)
    table = arrival_table(policies["ucb"].prior, arriving, 12, widths=(0.0, 100.0))
    assert list(table.index) == ["usual, width 1", "with doubt, width 100"]
    assert arriving.highest == 5, "the stream itself is left alone"
    who = new[arriving.after.argmax(1)].numpy()
    usual = stream_regret(UCB(policies["ucb"].prior), arriving, 12)[1]
    first = table["turns, stars end at 5"]
    assert first["usual, width 1"].value == pytest.approx(first_shown(usual, 3)[who].mean())
    free = replace(arriving, highest=np.inf)
    places = free.worth().argmax(1)
    free.start()
    assert free.play(places).signal.max() > 5


def test_too_few_turns_or_phones_are_one_sentence(shop, setting, policies):
    rounds = setting.test["ecommerce"]
    new = torch.arange(25) == 4
    streams = tastes_turn(rounds, 3), phone_arrives(rounds, new, 3)
    said = "a stream of 6 turns that changes after 3: expected 5 turns or more before and after"
    with pytest.raises(InputError, match=said):
        drift_table({"popular": policies["popular"]}, *streams, 6)
    said = "n_turns is 26, and the shop has 25 phones and shows none twice: expected no more turns"
    with pytest.raises(InputError, match=said):
        shop_setting(shop, n_turns=26)


def test_thompson_shows_each_arm_as_often_as_it_is_the_best(setting, policies, belief):
    """The share of draws, against the chance under scipy's multivariate normal distribution of all arms."""
    n = 20_000
    sides = (belief.base, belief.features, belief.mean, belief.covariance, belief.noise)
    one = Belief(*(side[:1].expand(n, *side.shape[1:]) for side in sides))
    policy = Thompson(policies["thompson"].prior)
    policy.belief, policy.numbers, policy.seed, policy.turn = one, np.arange(n), 3, 0
    shown = torch.bincount(policy.choose(torch.ones(n, A, dtype=torch.bool)), minlength=A) / n
    phi, mean = belief.features[0].numpy(), belief.expected()[0].numpy()
    spread = multivariate_normal(
        mean, phi @ belief.covariance[0].numpy() @ phi.T, allow_singular=True
    )
    best = np.bincount(spread.rvs(n, random_state=4).argmax(1), minlength=A) / n
    assert shown.numpy() == pytest.approx(best, abs=0.015)
    assert (best > 0.02).sum() >= 3


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_ucb_is_the_textbooks_mean_and_width_standard_deviations(policies, belief, width):
    """LinUCB from numpy's batch posterior (Li et al. 2010, eq. 5), after two reactions."""
    arms, reactions = torch.tensor([[0, 3]] * N), torch.tensor([[4.0, 1.0]] * N)
    policy = UCB(policies["ucb"].prior, width=width)
    policy.belief = belief.after(arms[:, 0], reactions[:, 0]).after(arms[:, 1], reactions[:, 1])
    mean, covariance = textbook(belief, arms, reactions)
    phi, is_open = belief.features.numpy(), torch.ones(N, A, dtype=torch.bool)
    is_open[:, [0, 3]] = False
    index = belief.base.numpy() + np.einsum("nad,nd->na", phi, mean)
    index += width * np.sqrt(np.einsum("nad,nde,nae->na", phi, covariance, phi))
    index[:, [0, 3]] = -np.inf
    assert policy.choose(is_open).tolist() == index.argmax(1).tolist()


def test_turns_to_recover_by_hand():
    regret = np.array([1.0] * 10 + [3.0, 3.0, 3.0] + [1.0] * 9)
    assert turns_to_recover(regret, 10, window=5, slack=0.0) == 3
    assert turns_to_recover(regret, 10, window=5, slack=0.4) == 2
    assert turns_to_recover(np.r_[np.zeros(10), np.ones(12)], 10) == 8
    news = np.array([[1, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
    assert first_shown(news, 2).tolist() == [1, 2]


def test_a_small_shops_contenders_are_fitted_again_on_all_who_are_not_new(shop):
    log = shop.interactions.drop_duplicates(["user", "item"])
    log = log[log["user"] < "u00020"]
    real = fsl.Shop(log, shop.users, shop.items, name="mine")
    one = replay_settings(real, n_turns=2, least=4, n_folds=4)[0]
    known = set(one.not_new.subjects.tolist())
    assert known == set(one.train.subjects.tolist()) | set(
        one.validation["new users"].subjects.tolist()
    ) | (known - set(user_tasks(real).subjects[user_tasks(real).sizes >= 4].tolist()))
    assert not known & set(one.test["new users"].subjects.tolist())
    found = contenders(one, priors(one))
    assert {"process UCB", "meta Thompson", "flat ε-greedy", "best rated"} <= set(found)
    best = found["best rated"]
    assert torch.equal(best.order, Popular(shrinkage=best.shrinkage).fit(one.not_new).order)
