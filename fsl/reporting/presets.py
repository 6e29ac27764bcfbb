"""What `fsl report` gives each notebook: data, and parameters at quick, report and full size."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """One notebook's row. `data` are sources by name; parameters change the notebook's own defaults.

    The report of everything runs it on the first of its data that can be had, `--all` or its name on each of them.

    `full` comes on top of `report`; without it the notebook has no full size. `full_minutes`: about how long that runs
    on one core. The data are of one kind, and so are those it can be given.
    `needs_target`: the notebook cannot do without a `rating` or `label` column. `stands_in_for`: one that
    needs a target, in whose place this one is run for a shop without.
    """

    data: tuple[str, ...] = ()
    report: Mapping[str, object] = field(default_factory=dict)
    quick: Mapping[str, object] = field(default_factory=dict)
    full: Mapping[str, object] = field(default_factory=dict)
    full_minutes: int | None = None
    needs_target: bool = False
    stands_in_for: str = ""

    def size(self, asked: str) -> str:
        """The size that it runs at when `asked` is: "quick", "report" or, if it has one, "full"."""
        return "report" if asked == "full" and not self.full else asked

    def parameters(self, asked: str) -> dict[str, object]:
        """What changes its own defaults at that size."""
        if asked == "quick":
            return dict(self.quick)
        return {**self.report, **(self.full if asked == "full" else {})}


PRESETS: dict[str, Preset] = {
    "01_episodes": Preset(
        data=("phones-99", "simulated"), report={"n_draws": 20}, needs_target=True
    ),
    "02_siamese": Preset(data=("phones-99", "simulated"), needs_target=True),
    "03_maml": Preset(
        data=("simulated",),
        quick={"n_iterations": 400, "n_shop_iterations": 20, "meta_batches": "1,32"},
        full={"n_iterations": 5000, "n_shop_iterations": 200, "meta_batches": "1,8,32,128,512"},
        full_minutes=3,
        needs_target=True,
    ),
    "04_cold_start": Preset(
        data=("ml-100k", "phones-99"),
        report={"n_iterations": 100, "catalogue": "short"},
        quick={"partitions": ["user-cold"], "max_tasks": 300},
        full={
            "partitions": ["user-cold", "item-cold", "both-cold"],
            "first_known": ["user-cold"],
            "by": "random",
            "n_folds": 5,
            "n_draws": 3,
            "n_seeds": 3,
            "roster": "all",
            "catalogue": "all",
            "budget": 2,
            "n_iterations": 200,
            "people_folds": 10,
        },
        full_minutes=240,
        needs_target=True,
    ),
    "04b_without_ratings": Preset(
        data=("simulated",),
        report={"roster": "short", "effort": 1.0, "max_tasks": 600},
        full={
            "roster": "all",
            "effort": 2.0,
            "max_tasks": 5000,
            "n_periods": 6,
            "n_folds": 5,
            "n_draws": 3,
            "n_seeds": 3,
            "budget": 3,
            "max_new": 20_000,
            "minutes_each": 30.0,
        },
        full_minutes=240,
        stands_in_for="04_cold_start",
    ),
    "05_metric_learners": Preset(
        data=("omniglot",),
        report={
            "n_iterations": 40,
            "methods": ["Siamese", "Matching", "Prototypical", "ridge head"],
            "best_iterations": 60,
        },
        quick={"n_iterations": 20, "best_iterations": 10},
        full={
            "width": 64,
            "with_sentences": True,
            "n_sets": 2,
            "methods": [
                "Siamese",
                "Matching",
                "Prototypical",
                "Relation",
                "ridge head",
                "MAML",
                "ProtoMAML",
                "transfer",
            ],
            "n_iterations": 330,
            "n_seeds": 2,
            "best_iterations": 1500,
            "best_seeds": 5,
        },
        full_minutes=40,
    ),
    "06_fast_adaptation": Preset(
        data=("ml-100k",),
        report={"n_iterations": 150, "n_folds": 2},
        quick={"n_iterations": 60, "n_waves": 300, "n_shop_iterations": 20},
        full={
            "n_iterations": 38_000,
            "meta_lr": 0.001,
            "n_folds": 5,
            "n_shop_iterations": 200,
        },
        full_minutes=12,
        needs_target=True,
    ),
    "07_how_metrics_fool": Preset(
        data=("ml-100k",),
        report={"n_shots": 10, "n_parts": 2},
        quick={"n_parts": 2},
        full={
            "n_folds": 5,
            "n_draws": 3,
            "n_parts": 10,
            "n_asked": 3,
            "n_nets": 2,
            "new_users_data": "amazon-phones",
        },
        full_minutes=30,
        needs_target=True,
    ),
    "08_new_phone": Preset(
        data=("ml-100k", "simulated"),
        full={"launches": "amazon-phones"},
        full_minutes=3,
        needs_target=True,
    ),
    "09_customer_service": Preset(
        data=("banking77", "clinc150", "simulated-intents"),
        report={"n_intents": 15, "n_asked": 20, "n_draws": 3},
        full={
            "n_intents": 0,
            "n_asked": 0,
            "shots": [1, 5, 10],
            "n_draws": 5,
            "n_tuned": 5,
            "with_practice": True,
            "with_sentences": True,
        },
        full_minutes=60,
    ),
    "10_distillation": Preset(
        data=("banking77", "simulated-intents"),
        report={
            "n_texts": 924,
            "n_test": 462,
            "n_other": 300,
            "n_words": 400,
            "n_buckets": 4096,
        },
        quick={
            "n_texts": 462,
            "n_test": 231,
            "n_other": 150,
            "n_words": 100,
            "n_draws": 3,
            "n_rounds": 3,
        },
        full={"n_texts": 0, "n_test": 0, "n_other": 0, "n_words": 0, "n_rounds": 20},
        full_minutes=8,
    ),
    "11_search": Preset(
        data=("simulated",),
        report={"n_queries": 120, "n_searches": 6},
        quick={"shots": [0, 3, 10]},
        full={"purchases": "amazon-phones"},
        full_minutes=4,
        needs_target=True,
    ),
    "12_phone_review": Preset(
        data=("phones-99",),
        report={"n_draws": 5, "encoders": ["minilm", "multilingual"]},
        full={"n_draws": 40},
        full_minutes=3,
        needs_target=True,
    ),
    "13_bandit": Preset(
        data=("simulated", "ml-100k", "phones-99"),
        report={"n_updates": 30, "n_guides": 3, "n_stream": 40},
        full={
            "n_users": 6000,
            "n_folds_run": 5,
            "n_seeds": 3,
            "n_updates": 600,
            "n_guides": 5,
            "with_adapted": True,
        },
        full_minutes=20,
        needs_target=True,
    ),
    "14_off_policy": Preset(
        data=("open-bandit",),
        report={"n_logs": 500, "n_draws": 50_000},
    ),
    "15_ab_test": Preset(report={"n_users": 6000}),
    "16_guide": Preset(
        data=("phones-99", "simulated", "ml-100k"),
        report={"n_folds": 3, "max_people": 60, "max_items": 24},
        full={"n_folds": 5, "max_people": 10_000, "max_items": 30, "n_draws": 3},
        full_minutes=20,
        needs_target=True,
    ),
    "17_words_and_pictures": Preset(
        data=("phones-99", "ml-100k", "amazon-phones", "simulated"),
        report={"n_folds": 5, "n_draws": 2, "pictures": "phone-photos", "n_phones": 40},
        quick={"shots": [0], "n_phones": 8},
        full={"shots": [0, 1, 3, 5], "n_phones": 0},
        full_minutes=5,
    ),
}
DEFAULT_RUN: tuple[str, ...] = tuple(PRESETS)
VERDICT_RUN: tuple[str, ...] = ("04_cold_start",)  # what a stranger's folder is for


def in_words(minutes: int | None) -> str:
    """About how long: minutes, from two hours on hours."""
    if minutes is None:
        return "for longer than at report size"
    return f"about {minutes} minutes" if minutes < 120 else f"about {minutes / 60:.0f} hours"


def full_sizes() -> str:
    """Which notebooks have a full size and how long it runs, as `fsl report --help` says it; "" for none."""
    told = [f"{name} {in_words(row.full_minutes)}" for name, row in PRESETS.items() if row.full]
    return f"At full size, on one core and per data set: {'; '.join(told)}." if told else ""
