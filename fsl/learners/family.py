"""The few-shot family by name, ready for each of the problems here: a shop's users, sine waves, images of classes.

Settings are the ones that notebooks and reports use; each can be changed by its name.
"""

from torch import nn

from fsl.learners.closed_form import CNP, ALPaCA, RidgeHead
from fsl.learners.gradient import ANIL, FOMAML, MAML, MetaSGD, ProtoMAML, with_head
from fsl.learners.method import Method
from fsl.learners.metric import Matching, Prototypical, Relation, SiameseNearest
from fsl.learners.outer import Reptile, Transfer
from fsl.learners.people import Recommender, ShrunkLoss
from fsl.seeds import seeded
from fsl.sinusoid import SineNet
from fsl.training import EpisodicTrainer

GRADIENT = {
    "MAML": MAML,
    "FOMAML": FOMAML,
    "ANIL": ANIL,
    "Meta-SGD": MetaSGD,
    "Reptile": Reptile,
    "transfer": Transfer,
}
CLOSED_FORM = {"ridge head": RidgeHead, "ALPaCA": ALPaCA, "CNP": CNP}
METRIC = {"Matching": Matching, "Prototypical": Prototypical, "Relation": Relation}


def recommender(
    name: str, n_iterations: int = 200, seed: int = 0, meta_lr: float = 3e-3, **settings
) -> Recommender:
    """A method of the family as a learner of a shop's tasks, unfitted: `recommender("MAML").fit(train, validation)`.

    settings: of the method (`inner_lr`, `n_steps`, …). As in MeLU the head alone adapts; ANIL leaves its hidden layer.
    Raises ValueError for a name that is none of GRADIENT, CLOSED_FORM, METRIC.
    """
    kind = _find(name, GRADIENT | CLOSED_FORM | METRIC)
    trainer = EpisodicTrainer(n_iterations=n_iterations, lr=meta_lr, seed=seed)
    if name in GRADIENT:
        fast = ("head.out", "head.straight") if kind is ANIL else ("head",)
        usual = {"inner_lr": 0.2, "n_steps": 3, "fast": fast, "loss": ShrunkLoss()}
        settings = usual | settings
    if kind is Matching:
        settings = {"tau": 1.0} | settings
    return Recommender(
        lambda net: kind(net, trainer=trainer, **settings), wants=kind.wants, seed=seed
    )


def sine_method(
    name: str, trainer: EpisodicTrainer, seed: int = 0, inner_lr: float = 0.01, **settings
) -> Method:
    """A method of the family on `SineNet`, for `SineTasks`, unfitted."""
    kind, net = _find(name, GRADIENT | CLOSED_FORM), SineNet(seed)
    if name in GRADIENT:
        return kind(net, inner_lr=inner_lr, trainer=trainer, **settings)
    with seeded(seed):
        return kind(net.body, trainer=trainer, **settings)


def image_method(
    name: str,
    body: nn.Module,
    n_way: int,
    trainer: EpisodicTrainer,
    seed: int = 0,
    **settings,
) -> Method:
    """A method of the family on an image `body` (with `n_features`), for n_way class-tasks, unfitted."""
    kinds = GRADIENT | METRIC
    kinds |= {"ridge head": RidgeHead, "Siamese": SiameseNearest, "ProtoMAML": ProtoMAML}
    kind = _find(name, kinds)
    with seeded(seed):
        net = with_head(body, n_way) if kind.wants == "net" else body
        return kind(net, trainer=trainer, **settings)


def _find(name: str, kinds: dict[str, type[Method]]) -> type[Method]:
    if name not in kinds:
        raise ValueError(f"unknown method {name!r}, known: {', '.join(kinds)}")
    return kinds[name]
