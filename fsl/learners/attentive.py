"""The best few-shot learner found here for ratings: empirical Bayes, corrected by an attentive encoder of the support.

Meta-trained with cross-fitting: a training task never sees object tables that its own ratings have shaped, as no test
task will. Knows tasks and tensors.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fsl.episodes import Examples, sample_episode
from fsl.errors import InputError
from fsl.learners.base import Learner, Predictive, mask_of
from fsl.learners.empirical_bayes import EmpiricalBayes, posterior
from fsl.learners.inner_folds import folds_by_group
from fsl.learners.own_tastes import standardised
from fsl.learners.select import validation_episodes
from fsl.seeds import seeded
from fsl.tasks import Tasks, join

CHECK_EVERY = 50
_TABLES_KEPT = 2  # those of training tasks, and of training and validation tasks


class SetEncoder(nn.Module):
    """What the support, as a set, adds to a first guess; zero before training.

    Support rows become keys and values, query rows ask: softmax attention (Vaswani et al. 2017) over the support and
    one more row of nothing, so that a few rows count for less than many; beside it the mean of the values (Zaheer et
    al. 2017). Correction = MLP[attended, mean, query token, subject content, first guess, its spread, log(1 + K)].
    """

    def __init__(self, n_token: int, n_content: int, n_hidden: int = 32):
        super().__init__()
        self.key, self.ask = _mlp(n_token, n_hidden), _mlp(n_token, n_hidden)
        self.value = _mlp(n_token + 1 + n_content, n_hidden)
        self.nothing = nn.Parameter(torch.zeros(()))
        self.out = _mlp(2 * n_hidden + n_token + n_content + 3, n_hidden, 1)
        nn.init.zeros_(self.out[-1].weight)
        nn.init.zeros_(self.out[-1].bias)

    def forward(
        self,
        known: Tensor,
        left: Tensor,
        mask: Tensor,
        asked: Tensor,
        content: Tensor,
        first: Tensor,
    ) -> Tensor:
        """known: tokens [n, K, t], left: residuals [n, K], asked: tokens [n, q, t], content: [n, c], first: [n, q, 2].

        Returns [n, q].
        """
        n_shots, n_query = known.shape[1], asked.shape[1]
        whose = content[:, None].expand(-1, n_shots, -1)
        values = self.value(torch.cat([known, left[..., None], whose], dim=-1)) * mask[..., None]
        logits = self.ask(asked) @ self.key(known).mT / values.shape[-1] ** 0.5
        logits = logits.masked_fill(mask[:, None] == 0, -torch.inf)
        nothing = self.nothing.expand(*logits.shape[:-1], 1)
        attended = torch.cat([logits, nothing], dim=-1).softmax(-1)[..., :-1] @ values
        many = mask.sum(1, keepdim=True)
        of_task = torch.cat([values.sum(1) / (many + 1), content, many.log1p()], dim=-1)
        of_task = of_task[:, None].expand(-1, n_query, -1)
        return self.out(torch.cat([attended, of_task, asked, first], dim=-1))[..., 0]


def _mlp(n_in: int, n_hidden: int, n_out: int | None = None) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out or n_hidden)
    )


@dataclass(eq=False)
class AttentiveBayes(Learner):
    """Prediction = posterior mean of `EmpiricalBayes` + s · `SetEncoder`(support, query), meta-trained on episodes.

    minimise Σ_tasks (1 − a) mean (p − r)² + a mean |p − r|, a = `mae_share`, over episodes of 0 to `max_shots` shots.
    Cross-fitting (Chernozhukov et al. 2018 use the word): the training tasks are cut in `n_inner` folds, and those of
    one fold see object tables fitted on the others. `validation` says when to stop; then, if `refit`, all is fitted
    again on both, for as many steps. With stop_early=False it is not looked at: a hundred users are too few to see
    gains of a few thousandths, and stop at the start. `n_nets` encoders with seeds of their own are averaged.
    Gives the posterior's variance. Fails, by doing nothing, where empirical Bayes has left nothing to learn.

    tables: learners that are given one list, and differ in encoder or tastes alone, fit the object tables once for the
    same tasks; what they predict is the same as with lists of their own.
    """

    n_factors: int = 4
    n_fits: int = 3
    n_inner: int = 4
    n_inner_fits: int = 2
    subject_shrinkage: float = 50.0
    n_steps: int = 10
    taste_shrinkage: float | None = None
    n_hidden: int = 32
    n_iterations: int = 300
    n_tasks: int = 64
    n_query: int = 15
    max_shots: int = 10
    lr: float = 3e-3
    weight_decay: float = 1e-2
    mae_share: float = 0.5
    n_nets: int = 1
    stop_early: bool = True
    refit: bool = True
    seed: int = 0
    tables: list = field(repr=False, default_factory=list)
    history: list[float] = field(init=False, repr=False, default_factory=list)

    def fit(self, tasks: Tasks, validation: Tasks | None = None) -> "AttentiveBayes":
        n_steps = self.n_iterations
        if not self.stop_early:
            validation = None
        if validation is not None:
            episodes = list(validation_episodes(validation, (0, 1, 3, 5, 10), 10, self.seed))
            if not episodes:
                raise InputError("none of the validation tasks has a behaviour")
            n_steps = self._train(tasks, self.n_iterations, episodes)
        if validation is None or self.refit:
            self._train(tasks if validation is None else join(tasks, validation), n_steps)
        return self

    def _train(self, tasks: Tasks, n_steps: int, episodes: list | None = None) -> int:
        """Train for `n_steps`; with validation episodes, keep the weights of the best check and return its step."""
        self.bayes, folds = self._tables(tasks)
        self.scale = self.bayes.fits[0].noise.sqrt().float()
        counts = torch.bincount(tasks.objects, minlength=len(tasks.object_ids))
        self.object_content = standardised(
            torch.cat([counts.float().log1p()[:, None], tasks.object_features], dim=1)
        )
        self.subject_content = standardised(tasks.subject_features, tasks.subjects)
        n_token = self.object_content.shape[1] + 2
        with seeded(self.seed):
            self.nets = nn.ModuleList(
                SetEncoder(n_token, self.subject_content.shape[1], self.n_hidden)
                for _ in range(self.n_nets)
            )
        return self._descend(folds, n_steps, episodes)

    def _tables(self, tasks: Tasks) -> tuple[EmpiricalBayes, list[tuple[Tasks, EmpiricalBayes]]]:
        """Fitted on all tasks; and each inner fold's tasks with tables fitted on the others."""
        everyone, *folds = [
            (held_out, bayes.with_tastes(known, self.taste_shrinkage))
            for known, held_out, bayes in self._fits(tasks)
        ]
        return everyone[1], folds

    def _fits(self, tasks: Tasks) -> list[tuple[Tasks, Tasks, EmpiricalBayes]]:
        """What each table is fitted on, whom it serves, and the table, without tastes; the first is of all tasks."""
        how = (
            *(self.n_factors, self.n_fits, self.n_inner, self.n_inner_fits),
            *(self.subject_shrinkage, self.n_steps, self.seed),
        )
        for of, settings, made in self.tables:
            if settings == how and _alike(of, tasks):
                return made
        made = [(tasks, tasks, self._bayes(self.n_fits).fit(tasks))]
        for rest, held_out in folds_by_group(tasks, self.n_inner, self.seed):
            made.append((rest, held_out, self._bayes(self.n_inner_fits).fit(rest)))
        self.tables.append((tasks, how, made))
        del self.tables[:-_TABLES_KEPT]
        return made

    def _bayes(self, n_fits: int) -> EmpiricalBayes:
        return EmpiricalBayes(
            self.n_factors,
            n_fits,
            subject_shrinkage=self.subject_shrinkage,
            n_steps=self.n_steps,
            seed=self.seed,
        )

    def _descend(self, folds: list, n_steps: int, episodes: list | None) -> int:
        generator = torch.Generator().manual_seed(self.seed)
        optimiser = torch.optim.AdamW(
            self.nets.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.n_iterations)
        best, kept, at = torch.inf, None, n_steps
        self.history = self.history if episodes is None else []
        for step in range(n_steps + 1):
            if episodes is not None and step % CHECK_EVERY == 0:
                self.history.append(self._validation_loss(episodes))
                if self.history[-1] < best:
                    best, at = self.history[-1], step
                    kept = {name: w.clone() for name, w in self.nets.state_dict().items()}
            if step < n_steps:
                self._step(folds, optimiser, generator)
                falling.step()
        if kept is not None:
            self.nets.load_state_dict(kept)
        return at

    def _step(self, folds: list, optimiser, generator: torch.Generator) -> None:
        losses = []
        for net in self.nets:
            held_out, bayes = folds[int(torch.randint(len(folds), (), generator=generator))]
            most = min(self.max_shots, int(held_out.sizes.max()) - 1)
            n_shots = int(torch.randint(most + 1, (), generator=generator))
            support, query = sample_episode(
                held_out,
                n_shots,
                self.n_query,
                generator,
                n_tasks=self.n_tasks,
                support=held_out.order,
            )
            first, correction = self._parts(bayes, [net], support, query.inputs)
            losses.append(self._loss(first + correction, query).mean())
        optimiser.zero_grad()
        sum(losses).backward()
        optimiser.step()

    def _loss(self, predictions: Tensor, query: Examples) -> Tensor:
        """(1 − a) mean (p − r)² + a mean |p − r| of each task, in units of the noise."""
        mask = mask_of(query)
        errors = torch.where(mask, (predictions - query.targets) / self.scale, 0)
        mixed = (1 - self.mae_share) * errors.square() + self.mae_share * errors.abs()
        return mixed.sum(1) / mask.sum(1).clamp(min=1)

    def _validation_loss(self, episodes: list) -> float:
        with torch.no_grad():
            losses = [
                self._loss(self.predict(support, query.inputs), query).mean()
                for support, query in episodes
            ]
        return float(torch.stack(losses).mean())

    def _parts(self, bayes: EmpiricalBayes, nets, support: Examples, query_inputs: Tensor):
        """The posterior mean, and the mean correction of `nets`: [n_tasks, n_query] each."""
        prior = bayes.prior(support.inputs, query_inputs)
        first, _ = posterior(prior, support)
        mask = mask_of(support)
        left = torch.where(mask, (support.targets - prior.mean) / self.scale, 0).float()
        known, asked = (self._tokens(bayes, inputs) for inputs in (support.inputs, query_inputs))
        content = self.subject_content[query_inputs[:, 0, 0]]
        guess = (first.mean - bayes.fits[0].base.mean()) / self.scale
        guess = torch.stack([guess, first.variance.sqrt() / self.scale], dim=-1).float()
        found = [net(known, left, mask.float(), asked, content, guess) for net in nets]
        return first.mean.float(), self.scale * torch.stack(found).mean(0)

    def _tokens(self, bayes: EmpiricalBayes, inputs: Tensor) -> Tensor:
        """What is known of each object: content, log of its count, its level and how well that is known."""
        objects = inputs[..., 1]
        base = sum(fit.base for fit in bayes.fits) / len(bayes.fits)
        doubt = sum(fit.doubt for fit in bayes.fits) / len(bayes.fits)
        level = torch.stack([base - base.mean(), doubt.sqrt()], dim=-1).float() / self.scale
        return torch.cat([self.object_content[objects], level[objects]], dim=-1)

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        with torch.no_grad():
            first, correction = self._parts(self.bayes, self.nets, support, query_inputs)
        return first + correction

    def distribution(self, support: Examples, query_inputs: Tensor) -> Predictive:
        """The corrected mean, and the posterior's variance: [n_tasks, n_query] each."""
        variance = self.bayes.distribution(support, query_inputs).variance
        return Predictive(self.predict(support, query_inputs), variance)


def _alike(one: Tasks, other: Tasks) -> bool:
    """Whether tables fitted on one are those of the other: the same behaviours and features, as two joins give them."""
    features = ("subject_features", "object_features")
    rows = ("offsets", "subjects", "groups", "objects", "targets")
    return all(getattr(one, name) is getattr(other, name) for name in features) and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in rows
    )
