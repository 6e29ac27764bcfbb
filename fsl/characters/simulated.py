"""Characters of alphabets that we invent, drawn by people that we invent: a stand-in for Omniglot without files.

Everything made from it is labelled "simulated". Knows strokes and ink; knows no model. Lengths are in half sides of the
image: its middle is (0, 0), its corners (±1, ±1).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fsl.class_tasks import ClassTasks
from fsl.errors import InputError

MOST_STROKES = 4
N_POINTS = 5  # that a stroke passes through
STEPS = 10  # straight pieces between two of them, as it is drawn
REACH = 0.66  # of a character as its alphabet has it; drawers write larger and smaller
NOWHERE = 9.0  # where a stroke lies that its character does not have: outside of every image
THICKNESS = 0.065  # from the middle of a line to its edge
AT_ONCE = 100  # images whose distances are held in memory together


@dataclass(frozen=True)
class Alphabets:
    """How each alphabet is written, every field [n_alphabets].

    strokes: mean number per character. turn: how far a stroke bends, radians. straight: 0 for curves, 1 for corners.
    tilt: direction of the first strokes, radians. attached: share of strokes that begin on an earlier one.
    """

    strokes: Tensor
    turn: Tensor
    straight: Tensor
    tilt: Tensor
    attached: Tensor


def simulated_characters(
    n_alphabets: int = 10,
    n_characters: int = 14,
    n_drawers: int = 20,
    seed: int = 0,
    size: int = 28,
) -> ClassTasks:
    """Inputs float32 [n_alphabets * n_characters * n_drawers, size, size] in 0 … 1 (ink 1), by class, then by drawer.

    Classes are "Alphabet 3/character05", groups the alphabets. The same seed gives the same drawings at every size.
    Raises InputError for a count below 1 or a size below 8 pixels.
    """
    _check(n_alphabets, n_characters, n_drawers, size)
    generator = torch.Generator().manual_seed(seed)
    alphabets = _alphabets(n_alphabets, generator)
    groups = torch.arange(n_alphabets).repeat_interleave(n_characters)
    characters = _characters(alphabets, groups, generator)
    drawn = _redrawn(characters, groups, n_drawers, generator)
    curves = _curves(drawn, alphabets.straight[groups])
    thickness = THICKNESS * _spread(drawn.shape[:2], 0.2, generator)
    names = [f"Alphabet {a + 1}" for a in range(n_alphabets)]
    return ClassTasks(
        inputs=_ink(curves.flatten(0, 1).flatten(1, 2), thickness.flatten(), size),
        labels=torch.arange(len(groups)).repeat_interleave(n_drawers),
        class_names=[f"{name}/character{c + 1:02d}" for name in names for c in range(n_characters)],
        groups=groups,
        group_names=names,
    )


def _check(n_alphabets: int, n_characters: int, n_drawers: int, size: int) -> None:
    counts = {"n_alphabets": n_alphabets, "n_characters": n_characters, "n_drawers": n_drawers}
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name} must be at least 1, got {count}")
    if size < 8:
        raise InputError(f"size must be at least 8 pixels, got {size}")


def _uniform(shape, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _normal(shape, deviation: float, generator: torch.Generator) -> Tensor:
    return deviation * torch.randn(shape, generator=generator)


def _spread(shape, deviation: float, generator: torch.Generator) -> Tensor:
    """Factors around 1, log-normal."""
    return _normal(shape, deviation, generator).exp()


def _alphabets(n: int, generator: torch.Generator) -> Alphabets:
    ranges = ((1.8, 3.4), (0.8, 5.5), (0.0, 1.0), (-0.4, 0.4), (0.4, 1.0))
    return Alphabets(*(_uniform((n,), low, high, generator) for low, high in ranges))


def _characters(alphabets: Alphabets, groups: Tensor, generator: torch.Generator) -> Tensor:
    """The points that each character's strokes pass through, [n_classes, MOST_STROKES, N_POINTS, 2]."""
    n = len(groups)
    strokes = _strokes(alphabets, groups, generator)
    for s in range(1, MOST_STROKES):
        earlier = torch.randint(s * N_POINTS, (n,), generator=generator)
        begin = strokes[:, :s].flatten(1, 2)[torch.arange(n), earlier]
        attached = torch.rand(n, generator=generator) < alphabets.attached[groups]
        shift = torch.where(attached[:, None], begin - strokes[:, s, 0], 0)
        strokes[:, s] += shift[:, None]
    many = alphabets.strokes[groups] + _normal((n,), 0.7, generator)
    missing = torch.arange(MOST_STROKES) >= many.round().clamp(min=1)[:, None]
    return _fitted(strokes, missing)


def _strokes(alphabets: Alphabets, groups: Tensor, generator: torch.Generator) -> Tensor:
    """Strokes by themselves, of random lengths and beginnings, as `_characters` returns them."""
    angles = _angles(alphabets, groups, generator)
    length = _spread((*angles.shape[:2], 1, 1), 0.4, generator)
    steps = torch.stack([angles.cos(), angles.sin()], -1) * length
    begin = _uniform((*angles.shape[:2], 1, 2), -1.5, 1.5, generator)
    return torch.cat([begin, begin + steps.cumsum(2)], 2)


def _angles(alphabets: Alphabets, groups: Tensor, generator: torch.Generator) -> Tensor:
    """Where each stroke heads from point to point, radians, [n_classes, MOST_STROKES, N_POINTS - 1].

    A stroke sets out about square to the one before. It bends evenly in a curved hand, at one point in a straight one.
    """
    shape = (len(groups), MOST_STROKES)
    first = torch.randint(2, (len(groups), 1), generator=generator)
    quarters = first + (2 * torch.randint(2, shape, generator=generator) + 1).cumsum(1)
    heading = quarters * (math.pi / 2) + _normal(shape, 0.25, generator)
    bend = alphabets.turn[groups][:, None] * _uniform(shape, -1.3, 1.3, generator)
    sharp = 4 * alphabets.straight[groups][:, None, None]
    parts = torch.rand(*shape, N_POINTS - 1, generator=generator).pow(sharp)
    turned = (parts / parts.sum(-1, keepdim=True)).cumsum(-1) * bend[..., None]
    return (alphabets.tilt[groups][:, None] + heading)[..., None] + turned


def _fitted(strokes: Tensor, missing: Tensor) -> Tensor:
    """Each character moved and scaled to fill the image, stretched by no more than 2; missing strokes go nowhere."""
    left_out = missing[..., None, None]
    low = strokes.masked_fill(left_out, math.inf).amin((1, 2), keepdim=True)
    high = strokes.masked_fill(left_out, -math.inf).amax((1, 2), keepdim=True)
    scale = 2 * REACH / (high - low).clamp(min=1e-6)
    scale = scale.clamp(max=2 * scale.amin(-1, keepdim=True))
    return ((strokes - (low + high) / 2) * scale).masked_fill(left_out, NOWHERE)


def _redrawn(
    characters: Tensor, groups: Tensor, n_drawers: int, generator: torch.Generator
) -> Tensor:
    """Each character as each drawer draws it, [n_classes, n_drawers, MOST_STROKES, N_POINTS, 2]: never twice alike."""
    n_classes, *stroke = characters.shape
    shape = (n_classes, n_drawers)
    points = characters[:, None] + _normal((*shape, *stroke), 0.045, generator)
    points = points + _normal((*shape, MOST_STROKES, 1, 2), 0.06, generator)
    hands = _hands(groups, n_drawers, generator)
    moved = _normal((*shape, 1, 1, 2), 0.06, generator)
    return torch.einsum("cdij,cdspj->cdspi", hands, points) + moved


def _hands(groups: Tensor, n_drawers: int, generator: torch.Generator) -> Tensor:
    """Turn @ slant * scale of each drawing, [n_classes, n_drawers, 2, 2].

    Slant and scale are mostly a drawer's own in a whole alphabet; the turn is another every time.
    """
    one, all_ = (len(groups), n_drawers), (int(groups.max()) + 1, n_drawers)
    slant = _normal(all_, 0.15, generator)[groups] + _normal(one, 0.08, generator)
    scale = _spread((*all_, 1, 2), 0.1, generator)[groups] * _spread((*one, 1, 2), 0.06, generator)
    angle = _normal(one, 0.12, generator)
    slanted = torch.stack([torch.ones(one), slant, torch.zeros(one), torch.ones(one)], -1)
    turned = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1)
    return turned.unflatten(-1, (2, 2)) @ slanted.unflatten(-1, (2, 2)) * scale


def _curves(points: Tensor, straight: Tensor) -> Tensor:
    """Lines through points [n_classes, …, N_POINTS, 2]: at straight 0 Catmull-Rom splines, at 1 straight pieces.

    A cubic from a to b with the tangents da and db there is the straight piece and a bow; straight takes off the bow.
    """
    ends = torch.cat([points[..., :1, :], points, points[..., -1:, :]], -2)
    tangent = (ends[..., 2:, :] - ends[..., :-2, :]) / 2
    a, b = points[..., :-1, None, :], points[..., 1:, None, :]
    da, db = tangent[..., :-1, None, :], tangent[..., 1:, None, :]
    t = (torch.arange(STEPS + 1) / STEPS)[:, None]
    line = a + t * (b - a)
    bow = t * (1 - t) * ((1 - t) * (da - (b - a)) - t * (db - (b - a)))
    curved = (1 - straight).view(-1, *[1] * points.ndim)
    return (line + curved * bow).flatten(-3, -2)


def _ink(curves: Tensor, thickness: Tensor, size: int) -> Tensor:
    """Images [n, size, size] of lines along curves [n, n_points, 2], x to the right and y down."""
    centres = (2 * torch.arange(size) + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    pixels = torch.stack([x, y], -1).flatten(0, 1)
    distance = torch.cat([torch.cdist(pixels, part).amin(-1) for part in curves.split(AT_ONCE)])
    soft = 2 / size  # an edge takes one pixel from ink to paper
    ink = 0.5 + (thickness[:, None] - distance) / soft
    return ink.clamp(0, 1).unflatten(-1, (size, size))
