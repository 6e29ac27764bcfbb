"""Convolutional embeddings of small images. Knows tensors only: no data set, no episode, no loss."""

import torch
from torch import Tensor, nn

NORMS = ("batch", "group", "task")


class ConvNet(nn.Module):
    """Blocks of 3 x 3 convolution, normalisation, ReLU; the first n_pools blocks end in 2 x 2 max-pooling.

    Features are the last map, flattened. Images are float, bool (0 or 1) or uint8 (0 … 255, taken as 0 … 1), of one
    channel.

    norm: "batch" is BatchNorm with running statistics, by which `eval()` embeds each image alone (inductive).
    "group" is GroupNorm (Wu & He 2018), alone in both modes: for inner loops, torch.func.vmap included. "task" is
    BatchNorm without running statistics, as in MAML's Omniglot nets: it reads the statistics of the batch it is
    given in both modes, so a query's features depend on the queries beside it (transductive).
    Raises ValueError for another norm, and for images of another side.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        n_pools: int,
        norm: str = "batch",
        side: int = 28,
    ):
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}, known: {', '.join(NORMS)}")
        self.side = side
        self.blocks = nn.Sequential(
            *(
                _block(n_in, n_out, norm, place < n_pools)
                for place, (n_in, n_out) in enumerate(zip((1, *channels), channels, strict=False))
            )
        )
        self.n_features = channels[-1] * (side >> n_pools) ** 2

    def forward(self, images: Tensor) -> Tensor:
        """[..., side, side] -> [..., n_features]; any leading axes are one batch to "batch" and "task"."""
        if images.shape[-2:] != (self.side, self.side):
            expected = f"[..., {self.side}, {self.side}]"
            raise ValueError(f"images have shape {list(images.shape)}, expected {expected}")
        lead = images.shape[:-2]
        maps = self.blocks(_as_float(images).reshape(-1, 1, self.side, self.side))
        return maps.flatten(1).reshape(*lead, self.n_features)


class Conv4(ConvNet):
    """The four-block net of the field (Vinyals et al. 2016; Snell et al. 2017): 28 x 28 -> 64 features."""

    def __init__(self, norm: str = "batch"):
        super().__init__((64, 64, 64, 64), n_pools=4, norm=norm)


class MapNet(ConvNet):
    """Wider late blocks and no last pooling: 28 x 28 -> a 3 x 3 map of 128 channels, 1,152 features.

    What stands where is kept, which tells characters apart; most of the work is done on small maps.
    """

    def __init__(self, norm: str = "batch"):
        super().__init__((32, 64, 128, 128), n_pools=3, norm=norm)


def _block(n_in: int, n_out: int, norm: str, pool: bool) -> nn.Sequential:
    normalise = {
        "batch": lambda: nn.BatchNorm2d(n_out),
        "group": lambda: nn.GroupNorm(8, n_out),
        "task": lambda: nn.BatchNorm2d(n_out, track_running_stats=False),
    }[norm]()
    convolve = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
    layers = [convolve, normalise, nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


def _as_float(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        return images.float() / 255
    return images if images.is_floating_point() else images.float()
