"""How each method meets the one-shot task: its network, its training tasks, its settings. Trains and judges nothing.

Everything here was chosen on alphabets of the background sets that a training was not shown, never on the 20 runs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.characters.augment import Averaged, Overlay, Warp, rotations
from fsl.characters.hausdorff import hausdorff_distances
from fsl.class_tasks import ClassSampler, ClassTasks
from fsl.convnets import ConvNet, MapNet
from fsl.episodes import Examples
from fsl.learners.family import image_method
from fsl.learners.method import Method, Sampler
from fsl.learners.metric import Prototypical, squared_distances
from fsl.seeds import seeded
from fsl.training import EpisodicTrainer

HAND = Warp(rotation=15, shear=15, scale=0.15, shift=2, elastic=0.7)
AT_TEST = Warp(rotation=10, shear=10, scale=0.1, shift=1.5, elastic=0.5)
BEST = "best recipe"
METHODS = (
    "Siamese",
    "Matching",
    "Prototypical",
    "Relation",
    "ridge head",
    "MAML",
    "ProtoMAML",
    "transfer",
)
_GRADIENT = {  # the least error of a small grid on a held-out alphabet, 80 iterations each
    "MAML": {"inner_lr": 0.1, "n_steps": 5},
    "ProtoMAML": {"inner_lr": 0.005, "n_steps": 1},
    "transfer": {"inner_lr": 0.03, "n_steps": 10},
}


@dataclass(frozen=True)
class Entry:
    """A line of the table: how its method and its training tasks are made, for a set of alphabets and a seed."""

    name: str
    make: Callable[[ClassTasks, int], Method]
    sampler: Callable[[ClassTasks], Sampler]
    n_seeds: int = 1


def plain_entry(name: str, n_way: int, n_iterations: int, width: int, n_seeds: int = 1) -> Entry:
    """`plain_method` on within-alphabet tasks over classes and their rotations."""
    return Entry(
        name,
        lambda tasks, seed: plain_method(name, n_way, n_iterations, seed, width, 4 * len(tasks)),
        lambda tasks: ClassSampler(rotations(tasks), n_way, 1, 1, within_groups=True),
        n_seeds,
    )


def best_entry(n_iterations: int, n_seeds: int = 1, name: str = BEST) -> Entry:
    """`best_method` on `best_sampler`'s tasks."""
    return Entry(
        name,
        lambda tasks, seed: best_method(n_iterations, seed),
        best_sampler,
        n_seeds,
    )


def plain_method(
    name: str, n_way: int, n_iterations: int, seed: int, width: int, n_classes: int
) -> Method:
    """A method of the family on four blocks of `width` channels (64: Conv4), as plain as it comes.

    Normalisation is inductive: BatchNorm's running statistics, or GroupNorm where there is an inner loop.
    n_classes: of the training set, which "transfer" tells apart.
    """
    inner = name in _GRADIENT
    trainer = EpisodicTrainer(n_iterations, meta_batch=2 if inner else 4, lr=1e-3, seed=seed)
    settings = dict(_GRADIENT.get(name, {}))
    if name == "transfer":
        settings["n_classes"] = n_classes
    with seeded(seed):
        body = ConvNet((width,) * 4, n_pools=4, norm="group" if inner else "batch")
    return image_method(name, body, n_way, trainer, seed, **settings)


def best_method(n_iterations: int, seed: int, n_warps: int = 8) -> Prototypical:
    """A prototypical network on a `MapNet`, its features averaged over `n_warps` warped copies at test."""
    trainer = EpisodicTrainer(n_iterations, meta_batch=1, lr=1e-3, seed=seed)
    with seeded(seed):
        body = MapNet().to(memory_format=torch.channels_last)
    averaged = Averaged(body, AT_TEST, n_warps)
    return Prototypical(averaged, temperature=23.0, trainer=trainer)


def best_sampler(tasks: ClassTasks) -> ClassSampler:
    """Its training tasks: 64 ways out of all classes and their rotations, hands warped, half the classes overlaid."""
    turned = rotations(tasks)
    n_way = min(64, len(turned))
    return ClassSampler(turned, n_way, 1, 1, transform=HAND, class_transform=Overlay(0.5))


class NearestPixels:
    """No training: the class of the support image whose pixels are nearest, in Euclidean distance."""

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """−distance to each support image, [n_tasks, n_query, n_way]; support has one image per class, in order."""
        return -squared_distances(query_inputs.flatten(2), support.inputs.flatten(2)).sqrt()


class Hausdorff:
    """No training: the support image at the least modified Hausdorff distance; the floor is for 105 x 105 pixels."""

    def predict(self, support: Examples, query_inputs: Tensor) -> Tensor:
        """−distance to each support image, [n_tasks, n_query, n_way]; support has one image per class, in order."""
        tasks = zip(query_inputs, support.inputs, strict=True)
        return -torch.stack([hausdorff_distances(asked, known) for asked, known in tasks])
