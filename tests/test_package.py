"""What `fsl` promises to outside code: its names, their signatures, and that importing it is cheap."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import fsl
from fsl.headlines import MIME

EMPTY = inspect.Parameter.empty
ANY = object()
PROMISED = {
    "Shop": {"interactions": EMPTY, "users": None, "items": None},
    "read_shop": {"folder": EMPTY, "columns": None},
    "load": {"name": EMPTY},
    "simulate_shop": {"n_users": ANY, "n_items": ANY, "seed": ANY},
    "Examples": {"inputs": EMPTY, "targets": EMPTY, "mask": None},
    "Episode": {"support": EMPTY, "query": EMPTY},
    "contrastive_loss": {"distance": EMPTY, "is_different": EMPTY, "margin": 1.0},
    "SiameseNetwork": {"n_features": EMPTY, "n_hidden": EMPTY, "n_embedding": EMPTY},
    "meta_loss": {
        "net": EMPTY, "loss": EMPTY, "episode": EMPTY, "inner_lr": EMPTY, "n_steps": EMPTY,
        "first_order": False, "fast": None, "engine": "batched", "chunk": 32,
    },
    "evaluate": {"learners": EMPTY, "tasks": EMPTY},
    "ndcg": {"scores": EMPTY, "relevance": EMPTY, "k": EMPTY, "mask": None},
}  # fmt: skip


def modules() -> list[str]:
    return [found.name for found in pkgutil.walk_packages(fsl.__path__, "fsl.")]


@pytest.mark.parametrize("name", fsl.__all__)
def test_every_exported_name_is_there(name):
    value = getattr(fsl, name)
    assert value is not None
    assert not inspect.ismodule(value)
    assert value.__doc__


def test_the_names_of_the_contract_survive_the_import_of_every_module():
    for module in modules():
        importlib.import_module(module)
    assert len(modules()) > 20
    for name in PROMISED:
        assert callable(getattr(fsl, name)), name
        assert name in dir(fsl)


@pytest.mark.parametrize("name", PROMISED)
def test_promised_signatures_are_kept(name):
    assert name in fsl.__all__
    parameters = inspect.signature(getattr(fsl, name)).parameters
    promised = PROMISED[name]
    assert list(parameters)[: len(promised)] == list(promised)
    for parameter, default in promised.items():
        assert default is ANY or parameters[parameter].default == default
    others = list(parameters.values())[len(promised) :]
    assert all(p.default is not EMPTY or p.kind is p.VAR_KEYWORD for p in others)


def test_no_exported_name_is_a_modules_name():
    below = {module.split(".")[1] for module in modules()}
    assert not below & set(fsl.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fsl' has no attribute 'meta_los'"):
        fsl.meta_los  # noqa: B018


LOADED = "import sys; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
HELP = "import sys\nfrom fsl.cli import main\ntry: main({arguments})\nexcept SystemExit: pass\n"


@pytest.mark.parametrize(
    "code",
    [
        "import fsl\ndir(fsl)\n",
        HELP.format(arguments=["--help"]),
        HELP.format(arguments=["report", "--help"]),
        HELP.format(arguments=["data", "check", "--help"]),
    ],
)
def test_help_and_a_bare_import_load_nothing_heavy(code):
    done = subprocess.run(
        [sys.executable, "-c", code + LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_command_line_is_run_as_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "fsl.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "data" in done.stdout
    assert "report" in done.stdout


def test_a_headline_is_a_sentence_and_a_record():
    shown = fsl.headline("MAML is off by", 0.7512, 0.7, 0.8, "stars")
    assert str(shown) == "MAML is off by 0.75 stars (95 % interval 0.70 to 0.80)"
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == str(shown)
    assert bundle[MIME] == {
        "message": "MAML is off by", "value": 0.7512, "low": 0.7, "high": 0.8, "unit": "stars",
    }  # fmt: skip
