"""What `fsl report` gives each notebook: data, and parameters at report size and quick size."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """One notebook's row. `data` are sources by name; parameters change the notebook's own defaults.

    `needs_target`: the notebook cannot do without a `rating` or `label` column.
    """

    data: tuple[str, ...] = ()
    report: Mapping[str, object] = field(default_factory=dict)
    quick: Mapping[str, object] = field(default_factory=dict)
    needs_target: bool = False


PRESETS: dict[str, Preset] = {
    "01_episodes": Preset(
        data=("simulated", "phones-99"), report={"n_draws": 20}, needs_target=True
    ),
    "02_siamese": Preset(
        data=("simulated", "phones-99"), report={"n_steps": 400}, needs_target=True
    ),
    "03_maml": Preset(
        data=("simulated",),
        report={"n_iterations": 2000, "n_shop_iterations": 200},
        quick={"n_iterations": 400},
        needs_target=True,
    ),
    "04_cold_start": Preset(
        data=("ml-100k", "phones-99"),
        report={"n_folds": 5, "n_iterations": 200},
        quick={"n_iterations": 60},
        needs_target=True,
    ),
}
DEFAULT_RUN = ("01_episodes", "02_siamese", "03_maml", "04_cold_start")
