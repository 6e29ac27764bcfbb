"""Gradient-based meta-learning: a start, and a way of stepping from it, from which a few steps on a few rows go far.

Each method takes a `net`, inputs [n, ...] -> predictions [n] or [n, n_way], with modules `body` and `head` where the
method tells them apart, and runs its inner loop through `fsl.meta_loss`.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from fsl.adapt import adapted_predictions, masked_cross_entropy, masked_mse, meta_loss
from fsl.engines.arguments import Loss, Rate, fast_names, names_of, with_mask
from fsl.episodes import Episode, Examples
from fsl.learners.method import Method
from fsl.learners.metric import prototypes
from fsl.training import EpisodicTrainer


def with_head(body: nn.Module, n_outputs: int) -> nn.Sequential:
    """`body` (which says its `n_features`) and a linear `head` on it."""
    head = nn.Linear(body.n_features, n_outputs)
    return nn.Sequential(OrderedDict(body=body, head=head))


def usual_loss(targets: Tensor) -> Loss:
    """Squared error for numbers, cross-entropy for class numbers."""
    return masked_mse if targets.is_floating_point() else masked_cross_entropy


class MAML(Method):
    """Model-agnostic meta-learning (Finn, Abbeel & Levine 2017, algorithm 1): the start θ is learned.

        θ₀ = θ,   θ_{s+1} = θ_s − α ∇ loss(support; θ_s),   minimise Σ_tasks loss(query; θ_n) over θ, exactly

    fast: the parameters or modules that adapt; None is all. `first_order=True` is FOMAML (section 5.2).
    loss: of the inner and outer loop; None is squared error or cross-entropy, by the targets' type.
    Needs many tasks; fails where `inner_lr` makes steps diverge, and beyond the number of steps it was trained for.
    """

    wants = "net"

    def __init__(
        self,
        net: nn.Module,
        inner_lr: float = 0.01,
        n_steps: int = 1,
        first_order: bool = False,
        fast: Iterable[str] | None = None,
        loss: Loss | None = None,
        engine: str = "auto",
        chunk: int | None = 32,
        compile: bool = False,
        trainer: EpisodicTrainer | None = None,
    ):
        super().__init__(trainer)
        self.net, self.inner_lr, self.n_steps = net, inner_lr, n_steps
        self.first_order, self.fast, self.loss = first_order, fast, loss
        self.engine, self.chunk, self.compile = engine, chunk, compile

    def rates(self) -> Rate | Mapping[str, Rate]:
        """α, as `meta_loss` takes it."""
        return self.inner_lr

    def starts(self, support: Examples) -> dict[str, Tensor]:
        """θ₀ of what each task starts on its own; nothing here."""
        return {}

    def losses(self, episode: Episode) -> Tensor:
        """Query loss of each task after the inner steps, [n_tasks], differentiable through them."""
        support = Examples(*episode.support)
        return meta_loss(
            self.net,
            self.loss or usual_loss(support.targets),
            episode,
            self.rates(),
            self.n_steps,
            self.first_order,
            fast=self.fast,
            engine="batched" if self.compile else self.engine,
            chunk=self.chunk,
            compile=self.compile,
            starts=self.starts(support),
        )

    def predict(
        self, support: Examples, query_inputs: Tensor, n_steps: int | None = None
    ) -> Tensor:
        """Predictions after the inner loop; `n_steps` may differ from what it was trained for."""
        support = Examples(*support)
        with self.judging():
            return adapted_predictions(
                self.net,
                self.loss or usual_loss(support.targets),
                support,
                query_inputs,
                self.rates(),
                self.n_steps if n_steps is None else n_steps,
                fast=self.fast,
                engine=self.engine,
                chunk=self.chunk,
                starts=self.starts(support),
            )


class FOMAML(MAML):
    """First-order MAML (Finn et al. 2017, section 5.2): each step's gradient is taken for a constant, H for 0.

    dL_q/dθ ≈ ∇L_q(θ_n). On `fsl speed`'s works half to four fifths of MAML's time, and hardly less memory (0.75 to 1;
    half where 512 tasks of five steps run at once). Fails where curvature matters, as with large or many steps.
    """

    def __init__(self, net: nn.Module, *args, **options):
        super().__init__(net, *args, first_order=True, **options)


class ANIL(MAML):
    """Almost no inner loop (Raghu et al. 2020): MAML in which the `head` alone adapts, body features are reused.

    Cheap, as good as MAML where one set of features serves all tasks; fails where tasks need features of their own.
    """

    def __init__(self, net: nn.Module, *args, fast: Iterable[str] = ("head",), **options):
        super().__init__(net, *args, fast=fast, **options)


class MetaSGD(MAML):
    """Meta-SGD (Li et al. 2017, eq. 3): every fast parameter learns a step size of its own beside its start.

        θ' = θ − α ∘ ∇ loss(support; θ),   minimise Σ loss(query; θ') over θ and α

    α begins at `inner_lr`, and may become negative. Twice the parameters, and steps made to arrive in `n_steps`: on
    sine waves the best of those that step, after the one step it was trained for; with more it diverges.
    """

    def __init__(self, net: nn.Module, inner_lr: float = 0.01, *args, **options):
        super().__init__(net, inner_lr, *args, **options)
        parameters, aliases = names_of(net)
        self.names = fast_names(parameters, aliases, self.fast)
        self.alpha = nn.ParameterList(
            torch.full_like(parameters[name], inner_lr) for name in self.names
        )

    def rates(self) -> dict[str, Tensor]:
        """α, one per weight, by the name of its parameter."""
        return dict(zip(self.names, self.alpha, strict=True))


class ProtoMAML(MAML):
    """MAML whose head starts at the task's prototypes (Triantafillou et al. 2020, section 3.1): for class-tasks only.

        W_n = 2 c_n,   b_n = −‖c_n‖²,   c_n the mean of class n's features under θ

    so that before any step it is a prototypical network; gradients reach the body through c_n as well. Any number of
    ways. Fails as prototypes do at the start, and as MAML does with steps too large for features of large norm.
    """

    wants = "body"

    def __init__(self, body: nn.Module, *args, **options):
        super().__init__(with_head(body, 1), *args, **options)

    def starts(self, support: Examples) -> dict[str, Tensor]:
        """W and b of each task's prototypes; a class that the task lacks starts at b = −∞."""
        support = with_mask(support)
        centres, counts = prototypes(self.net.body(support.inputs), support)
        bias = -centres.square().sum(-1)
        bias = bias.masked_fill(counts == 0, -torch.inf)  # a class that the task does not have
        return {"head.weight": 2 * centres, "head.bias": bias}
