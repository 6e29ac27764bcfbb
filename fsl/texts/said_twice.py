"""Questions to a phone shop, each said in two ways, in Chinese and in English: can an encoder find the other one?

We wrote them; an example, not a benchmark. Knows an encoder; trains nothing.
"""

import torch
from torch import Tensor

from fsl.item_text import Encodes

SAID_TWICE = {
    "Chinese": (
        ("这部手机的摄像头怎么样？", "手机拍照效果好不好？"),
        ("我想退货，怎么办？", "请问如何办理退货？"),
        ("屏幕碎了可以修吗？", "屏幕摔坏了，你们能维修吗？"),
        ("你们几点关门？", "请问营业到几点？"),
        ("电池能用多久？", "续航时间有多长？"),
        ("可以分期付款吗？", "能不能分几个月付款？"),
        ("有没有蓝色的？", "请问有蓝色款吗？"),
        ("多久能送到？", "快递几天到货？"),
    ),
    "English": (
        ("How good is the camera of this phone?", "Does it take nice photos?"),
        ("I want to return it, what do I do?", "How can I send my order back?"),
        ("Can a broken screen be repaired?", "The display is cracked, do you fix that?"),
        ("When do you close?", "How late is the shop open?"),
        ("How long does the battery last?", "What is the battery life?"),
        ("Can I pay in instalments?", "Is it possible to spread the payment over months?"),
        ("Do you have it in blue?", "Is there a blue one?"),
        ("How soon will it be delivered?", "How many days does shipping take?"),
    ),
}


def similarities(encoder: Encodes, language: str) -> Tensor:
    """Cosines of every question as first said (rows) with every one as said again (columns): float32 [n, n]."""
    first, again = zip(*SAID_TWICE[language], strict=True)
    return torch.from_numpy(encoder.encode(list(first)) @ encoder.encode(list(again)).T)


def n_found(cosines: Tensor) -> int:
    """How many rows are nearest to their own column."""
    return int((cosines.argmax(1) == torch.arange(len(cosines))).sum())
