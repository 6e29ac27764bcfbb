"""Two logs of the same shop, made by two policies: the Open Bandit sample (Saito and others 2020), or an invented pair.

Three campaigns of a fashion shop, each shown for a week by a uniform policy and by Bernoulli Thompson sampling (BTS),
10,000 rounds sampled of each; a round is one item at one of three places of a page, the reward a click. The package
`obp` that carries the sample is read as a zip: nothing of it is imported.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from fsl.errors import InputError
from fsl.offpolicy.log import Log

WHEEL = "obp-0.4.1-py3-none-any.whl"
CAMPAIGNS, POLICIES, N_PLACES = ("all", "men", "women"), ("random", "bts"), 3
SMALLEST = (
    1e-6  # the smallest propensity in the logs; BTS has no floor, so no bound on 1/p can be proven
)
CHUNK = 10_000


@dataclass(frozen=True, eq=False)
class Campaign:
    """logs: policy -> its log; contexts are the places. tables: policy -> chances [3, n_items].

    "random" is uniform; "bts" is the policy as it *began*, by Monte Carlo from its prior; "bts as it ran" the shares of
    items that its own log shows. truth: policy -> value, of an invented campaign only.
    """

    name: str
    logs: Mapping[str, Log]
    tables: Mapping[str, np.ndarray]
    truth: Mapping[str, float] | None = None


def open_campaigns(
    data: str, rng: np.random.Generator, n_draws: int = 100_000
) -> tuple[Campaign, ...]:
    """The campaigns of "open-bandit", fetched if need be, or of "simulated-log". n_draws: of the Monte Carlo."""
    if data == "simulated-log":
        return (invented(rng, n_draws=n_draws),)
    if data != "open-bandit":
        raise InputError(f"no logs are called {data!r}, expected open-bandit or simulated-log.")
    from fsl.sources import files_of

    return read_open_bandit(files_of(data)[WHEEL], rng, n_draws)


def read_open_bandit(
    path: Path, rng: np.random.Generator, n_draws: int = 100_000
) -> tuple[Campaign, ...]:
    """The three campaigns in the wheel."""
    with zipfile.ZipFile(path) as wheel:
        prior = yaml.safe_load(wheel.read("obp/policy/conf/prior_bts.yaml"))
        found = []
        for name in CAMPAIGNS:
            alpha, beta = (np.array(prior[name][side], float) for side in ("alpha", "beta"))
            logs = {policy: _read_log(wheel, policy, name, len(alpha)) for policy in POLICIES}
            found.append(_campaign(name, logs, alpha, beta, rng, n_draws))
    return tuple(found)


def _read_log(wheel: zipfile.ZipFile, policy: str, campaign: str, n_items: int) -> Log:
    columns = ["timestamp", "item_id", "position", "click", "propensity_score"]
    file = wheel.read(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv")
    rows = pd.read_csv(io.BytesIO(file), usecols=columns).sort_values("timestamp", kind="stable")
    places, items = rows["position"].to_numpy() - 1, rows["item_id"].to_numpy()
    clicks, chances = rows["click"].to_numpy(float), rows["propensity_score"].to_numpy(float)
    return Log(places, items, clicks, chances, n_items)


def _campaign(name, logs, alpha, beta, rng, n_draws, truth=None) -> Campaign:
    uniform = np.full((N_PLACES, len(alpha)), 1 / len(alpha))
    tables = {"random": uniform, "bts": thompson_chances(alpha, beta, n_draws, rng)}
    return Campaign(name, logs, tables | {"bts as it ran": item_shares(logs["bts"])}, truth)


def thompson_chances(
    alpha: np.ndarray, beta: np.ndarray, n_draws: int, rng: np.random.Generator
) -> np.ndarray:
    """How often BTS puts each item at each place: draw θ_a ~ Beta(α_a, β_a), show the three largest. [3, n_items].

    A Monte Carlo mean over n_draws: a chance p has standard error sqrt(p (1 − p) / n_draws).
    """
    counts = np.zeros((N_PLACES, len(alpha)))
    for start in range(0, n_draws, CHUNK):
        theta = rng.beta(alpha, beta, size=(min(CHUNK, n_draws - start), len(alpha)))
        top = np.argpartition(-theta, range(N_PLACES), axis=1)[:, :N_PLACES]
        for place in range(N_PLACES):
            counts[place] += np.bincount(top[:, place], minlength=len(alpha))
    return counts / n_draws


def item_shares(log: Log) -> np.ndarray:
    """Share of the rounds at each place where each item was shown, [3, n_items]: the policy as it ran, on average."""
    counts = np.zeros((N_PLACES, log.n_actions))
    np.add.at(counts, (log.contexts, log.actions), 1)
    return counts / counts.sum(1, keepdims=True)


def drift(log: Log, table: np.ndarray, rng: np.random.Generator, times: int = 200) -> pd.DataFrame:
    """How far the items in a log are from a policy's table, per place: total variation, ½ Σ_a |share − chance|.

    Columns: place, distance, by_chance (mean of logs of as many rounds that the table itself made), by_chance_high
    (97.5 % of them).
    """
    lines = []
    for place, (shares, chances) in enumerate(zip(item_shares(log), table, strict=True)):
        n = int((log.contexts == place).sum())
        made = rng.multinomial(n, chances / chances.sum(), size=times) / n
        by_chance = 0.5 * np.abs(made - chances).sum(1)
        told = {"by_chance": by_chance.mean(), "by_chance_high": np.quantile(by_chance, 0.975)}
        lines.append({"place": place + 1, "distance": 0.5 * np.abs(shares - chances).sum(), **told})
    return pd.DataFrame(lines)


def invented(
    rng: np.random.Generator, n_items: int = 30, n_rounds: int = 10_000, n_draws: int = 100_000
) -> Campaign:
    """A campaign that we wrote, of the sample's size and click rate; its BTS never learns, so its table is exact."""
    rates = rng.gamma(3, 0.0015, n_items)
    shown = rng.integers(300, 3_000, n_items)
    alpha, beta = rng.binomial(shown, rates) + 1.0, shown + 1.0
    fade = np.array([1.1, 1.0, 0.9])  # places further down are clicked less
    exact = thompson_chances(alpha, beta, 10 * n_draws, rng)
    exact = (exact + 1e-4) / (exact + 1e-4).sum(1, keepdims=True)
    policies = {"random": np.full((N_PLACES, n_items), 1 / n_items), "bts": exact}
    logs = {}
    for name, table in policies.items():
        places = rng.integers(N_PLACES, size=n_rounds)
        ladders = table.cumsum(1)[places]
        items = (rng.random(n_rounds)[:, None] > ladders[:, :-1]).sum(1)
        clicks = (rng.random(n_rounds) < fade[places] * rates[items]).astype(float)
        logs[name] = Log(places, items, clicks, table[places, items], n_items)
    truth = {name: float((fade @ table @ rates) / N_PLACES) for name, table in policies.items()}
    found = _campaign("invented", logs, alpha, beta, rng, n_draws, truth)
    return Campaign("invented", logs, {**found.tables, "bts": exact}, truth)
