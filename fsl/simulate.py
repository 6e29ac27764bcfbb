"""A phone shop that we invent: phones, people and four sales scenes, with the truth behind every rating kept.

Everything made from it is labelled "simulated". Knows the tables' format (`Shop`) and nothing of tasks or models.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from fsl.data import Shop

ATTRIBUTES = ("battery", "camera", "screen", "performance", "memory", "lightness", "affordability")
BRANDS = ("Lumo", "Kestrel", "Quillon", "Tarn", "Fjordis", "Sable", "Vireo", "Ombra")
OCCUPATIONS = ("student", "office", "sales", "engineer", "teacher", "retired")
START, DAYS = 1_640_995_200, 720  # 2022-01-01 UTC, and the days that the shop is watched
DAY = 86_400
LOWEST, HIGHEST = 1, 5
_USERS_AT_ONCE = 5_000


@dataclass(frozen=True)
class Scene:
    """What a scene shows, how people react in it, how noisy it is, and how many signals a visit leaves.

    shows: logits added per attribute, z-scored (then `new`: per year of novelty, `crowd`: per unit of popularity).
    emphasis: factor on each taste. noise: standard deviation of one reaction, stars. signals: mean per visitor.
    """

    visited_by: float
    signals: float
    noise: float
    shift: float
    shows: tuple[float, ...]
    new: float
    crowd: float
    emphasis: tuple[float, ...]


SCENES = {  # attributes in the order of ATTRIBUTES
    "offline_store": Scene(
        0.55,
        4,
        0.45,
        0.2,
        (0, 0, 0.3, 0.3, 0, 0, -0.3),
        -0.3,
        1.5,
        (0.6, 0.8, 1.8, 0.8, 0.4, 1.9, 0.9),
    ),
    "ecommerce": Scene(
        0.8, 12, 0.6, 0.0, (0, 0, 0, 0, 0, 0, 0.3), 0.0, 0.5, (1.2, 1.0, 0.8, 1.4, 1.5, 0.6, 1.2)
    ),
    "social_media": Scene(
        0.5, 6, 0.9, 0.3, (0, 1.2, 0.4, 0, 0, 0, 0), 1.5, 0.8, (0.4, 2.2, 1.4, 0.6, 0.3, 0.9, 0.4)
    ),
    "livestream": Scene(
        0.4, 3, 1.1, 0.5, (0, 0, 0, 0, 0, 0, 1.5), 0.5, 2.0, (0.7, 0.7, 0.6, 0.7, 0.6, 0.3, 2.4)
    ),
}
SCENE_NAMES = tuple(SCENES)


@dataclass(frozen=True)
class Truth:
    """What no shop knows. `expected` [n_interactions] is the noise-free expectation of each rating, in stars.

    tastes [n_users, 7] over ATTRIBUTES; scene_tastes [n_users, 4, 7] a person's own deviation in each scene;
    budgets [n_users] and prices [n_items] in USD; quality [n_items], generosity [n_users], os_match [n_users],
    all in stars; attributes [n_items, 7], z-scored; is_aster [n_items], +1 or -1.
    """

    tastes: np.ndarray
    scene_tastes: np.ndarray
    budgets: np.ndarray
    generosity: np.ndarray
    os_match: np.ndarray
    attributes: np.ndarray
    quality: np.ndarray
    prices: np.ndarray
    is_aster: np.ndarray
    expected: np.ndarray

    def appeal(self, users: np.ndarray, items: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        """Utility in stars before noise, rounding and clipping; arguments are index arrays that broadcast.

        3.3 + shift_s + generosity_u + quality_i + Σ_a e_sa (w_ua + v_usa) x_ia + os_u·os_i − overspend, with
        overspend = 0.8 softplus(4 log(price_i / budget_u)).
        """
        emphasis = np.array([scene.emphasis for scene in SCENES.values()])[scenes]
        shift = np.array([scene.shift for scene in SCENES.values()])[scenes]
        weights = emphasis * (self.tastes[users] + self.scene_tastes[users, scenes])
        overspend = np.logaddexp(0, 4 * np.log(self.prices[items] / self.budgets[users]))
        return (
            3.3 + shift + self.generosity[users] + self.quality[items] - 0.8 * overspend
            + np.einsum("...a,...a->...", weights, self.attributes[items])
            + self.os_match[users] * self.is_aster[items]
        )  # fmt: skip

    def expected_rating(self, users, items, scenes) -> np.ndarray:
        """E[rating] of round(appeal + noise) clipped to 1…5: 1 + Σ_{k=2..5} Φ((appeal − (k − ½)) / noise)."""
        users, items, scenes = np.asarray(users), np.asarray(items), np.asarray(scenes)
        noise = np.array([scene.noise for scene in SCENES.values()])[scenes]
        appeal = self.appeal(users, items, scenes)
        steps = np.arange(LOWEST + 1, HIGHEST + 1) - 0.5
        return LOWEST + ndtr((appeal[..., None] - steps) / noise[..., None]).sum(-1)


def simulate_shop(n_users: int = 1_200, n_items: int = 240, seed: int = 0) -> tuple[Shop, Truth]:
    """A shop of invented phones and people, and its `Truth`. The same arguments give the same tables.

    Ratings are 1 to 5 stars; each visitor meets phones already released at the time of the visit. Simulated.
    """
    if n_users < 1 or n_items < 1:
        raise ValueError(f"n_users and n_items must be at least 1, got {n_users} and {n_items}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    rng = np.random.default_rng(seed)
    items, phone_truth = _phones(n_items, rng)
    users, people_truth = _people(n_users, rng)
    truth = Truth(**phone_truth, **people_truth, expected=np.empty(0))
    visits = _visits(truth, items, rng)
    truth = Truth(**{**vars(truth), "expected": truth.expected_rating(*visits[:3])})
    interactions = _reactions(truth, visits, rng)
    items = items.assign(release_date=items["release_date"].dt.strftime("%Y-%m-%d"))
    shop = Shop(interactions, users, items, name="simulated", simulated=True, truth=truth)
    return shop, truth


def _phones(n: int, rng) -> tuple[pd.DataFrame, dict]:
    """Specifications follow a price tier, the maker and the year; price follows them, with a margin of its own."""
    tier, brand = rng.normal(size=n), rng.integers(len(BRANDS), size=n)
    day = np.sort(
        rng.uniform(-400, DAYS - 20, size=n)
    )  # some are old stock, and new ones keep coming
    day[: max(1, n // 3)] = rng.uniform(-400, 0, size=max(1, n // 3))
    house = rng.normal(scale=0.5, size=(len(BRANDS), 6))[brand]
    spec = (
        0.55 * tier[:, None] + house + 0.25 * (day / 365)[:, None] + 0.7 * rng.normal(size=(n, 6))
    )
    aster = np.where(brand < 2, 1, -1)
    price = np.exp(
        6.0 + 0.38 * tier + 0.12 * house.sum(1) / 3 + 0.15 * aster + 0.18 * rng.normal(size=n)
    )
    price = np.round(np.clip(price, 79, 1_999)).astype(int)
    attributes = _z(np.column_stack([spec, -np.log(price)]))
    table = pd.DataFrame({
        "item": [f"p{i:04d}" for i in range(n)],
        "name": [f"{BRANDS[b]} {'ZXVNRS'[i % 6]}{i // 6 + 1}" for i, b in enumerate(brand)],
        "brand": [BRANDS[b] for b in brand],
        "os": np.where(aster > 0, "Aster OS", "Open OS"),
        "price_usd": price,
        "battery_mah": np.round(4_300 + 500 * spec[:, 0], -1).astype(int),
        "main_camera_mp": np.round(np.exp(3.6 + 0.5 * spec[:, 1])).astype(int),
        "screen_inch": np.round(6.3 + 0.25 * spec[:, 2], 1),
        "performance": np.round(6 + 1.2 * spec[:, 3], 2),
        "memory_gb": 2 ** np.clip(np.round(7 + spec[:, 4]), 5, 10).astype(int),
        "weight_g": np.round(190 - 14 * spec[:, 5]).astype(int),
        "release_date": pd.Timestamp(START, unit="s") + pd.to_timedelta(np.floor(day), unit="D"),
    })  # fmt: skip
    quality = 0.25 * rng.normal(size=n)
    return table, {"attributes": attributes, "quality": quality, "prices": price, "is_aster": aster}


def _people(n: int, rng) -> tuple[pd.DataFrame, dict]:
    """Tastes, budgets and how generous a person is; age, gender and occupation say a little about them."""
    age = np.clip(np.round(rng.gamma(6, 6, size=n)), 16, 80).astype(int)
    occupation = rng.integers(len(OCCUPATIONS), size=n)
    leaning = rng.normal(scale=0.12, size=(len(OCCUPATIONS), len(ATTRIBUTES)))[occupation]
    older = ((age - 36) / 15)[:, None] * np.array([0.1, -0.08, 0.06, -0.12, 0, 0.04, 0])
    tastes = 0.08 + leaning + older + 0.26 * rng.normal(size=(n, len(ATTRIBUTES)))
    income = np.array([-0.4, 0.1, 0.1, 0.4, 0.0, -0.2])[occupation] + 0.1 * (age - 36) / 15
    table = pd.DataFrame({
        "user": [f"u{i:05d}" for i in range(n)],
        "age": age,
        "gender": rng.choice(["female", "male", "not said"], p=[0.46, 0.46, 0.08], size=n),
        "occupation": [OCCUPATIONS[o] for o in occupation],
    })  # fmt: skip
    return table, {
        "tastes": tastes,
        "scene_tastes": 0.12 * rng.normal(size=(n, len(SCENES), len(ATTRIBUTES))),
        "budgets": np.exp(6.4 + 0.5 * income + 0.35 * rng.normal(size=n)),
        "generosity": 0.4 * rng.normal(size=n),
        "os_match": 0.3 * rng.normal(size=n),
    }


def _visits(truth: Truth, items: pd.DataFrame, rng) -> tuple[np.ndarray, ...]:
    """Who met which phone in which scene, and when: users, items, scenes, seconds; by user, then by time."""
    n_users = len(truth.budgets)
    released = (items["release_date"] - pd.Timestamp(START, unit="s")).dt.days.to_numpy()
    crowd = _z(truth.quality + 0.3 * rng.normal(size=len(items)))
    joined = rng.uniform(5, DAYS - 10, size=n_users)
    present = rng.random((n_users, len(SCENES))) < [scene.visited_by for scene in SCENES.values()]
    present[~present.any(1), SCENE_NAMES.index("ecommerce")] = True
    parts = []
    for s, scene in enumerate(SCENES.values()):
        visitors = np.flatnonzero(present[:, s])
        for some in np.split(visitors, range(_USERS_AT_ONCE, len(visitors), _USERS_AT_ONCE)):
            parts.append(_shown(truth, scene, s, some, joined[some], released, crowd, rng))
    users, phones, scenes, seconds = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((seconds, users))
    return users[order], phones[order], scenes[order], seconds[order]


def _shown(truth, scene, s, users, joined, released, crowd, rng) -> tuple[np.ndarray, ...]:
    """One scene's visitors: a Gumbel-top-k draw of phones already out, tilted to what the scene shows and they like."""
    today = rng.uniform(joined, DAYS)
    age = (today[:, None] - released) / 365
    logits = truth.attributes @ np.array(scene.shows) + scene.crowd * crowd - scene.new * age
    logits = logits + 0.5 * truth.appeal(users[:, None], np.arange(len(crowd)), np.array(s))
    logits = np.where(age >= 0, logits, -np.inf)
    ranked = np.argsort(-(logits + rng.gumbel(size=logits.shape)), axis=1)
    many = np.minimum(1 + rng.poisson(scene.signals - 1, size=len(users)), (age >= 0).sum(1))
    who, place = np.nonzero(np.arange(len(crowd)) < many[:, None])
    minutes = np.cumsum(1 + rng.poisson(2, size=(len(users), len(crowd))), axis=1)
    seconds = START + (today * DAY).astype(int)[who] + 60 * minutes[who, place]
    return users[who], ranked[who, place], np.full(len(who), s), seconds


def _reactions(truth: Truth, visits, rng) -> pd.DataFrame:
    users, items, scenes, seconds = visits
    noise = np.array([scene.noise for scene in SCENES.values()])[scenes]
    felt = truth.appeal(users, items, scenes) + noise * rng.normal(size=len(users))
    return pd.DataFrame({
        "user": np.char.mod("u%05d", users),
        "item": np.char.mod("p%04d", items),
        "rating": np.clip(np.round(felt), LOWEST, HIGHEST),
        "timestamp": seconds.astype(float),
        "scene": np.array(SCENE_NAMES)[scenes],
    })  # fmt: skip


def _z(columns: np.ndarray) -> np.ndarray:
    return (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-9)
