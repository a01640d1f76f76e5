"""Wrong words of `train`: all are named at once, with what was meant, before anything heavy."""

import subprocess
import sys

import pytest

from pixelrnn.cli import compose, source_text
from pixelrnn.cli.main import main
from pixelrnn.errors import ConfigError

LINES = [
    ("optimiser.lr=1", "optimiser.lr: no such key; did you mean optimizer.lr?"),
    ("lr=1", "lr: no such key; did you mean optimizer.lr?"),
    ("hidden=1", "hidden: no such key; did you mean model.hidden?"),
    ("optimizer=lion", "optimizer=lion: no such choice; choose from optimizer=adam"),
    (
        "experiment=mine",
        "experiment=mine: no such choice; choose from experiment=cifar10_diagonal_bilstm, exp",
    ),
    (
        "callbacks.samples=null callbacks.samples.n=0",
        "callbacks.samples.n=0: callbacks.samples=null leaves no such key; give one of the two",
    ),
    (
        "trainer.overfit_batches=2",
        "not a configured key, but pytorch_lightning.Trainer takes it: +trainer.overfit_batches=2",
    ),
    ("optimizer.amsgrad=true", "torch.optim.AdamW takes it: +optimizer.amsgrad=true"),
    ("seed=1,2", "seed=1,2: several values need a multirun: pixelrnn train -m ..."),
    ("model=pixelcnn,row_lstm", "model=pixelcnn,row_lstm: several values need a multirun"),
    ("model.hidden=[", "model.hidden=[: not an override (no viable alternative at input '[')"),
    ("hydra.job.nme=x", "hydra.job.nme: no such key; did you mean hydra.job.name"),
    ("model= hydra.searchpath=", "hydra.searchpath must be a list of strings"),
    ("~loger", "loger: no such key; did you mean logger?"),
    ("seed.x=3", "seed.x: no such key; seed has no keys"),
    ("seed", "seed: expected KEY=VALUE; `pixelrnn train --help` lists the keys"),
    ("=3", "=3: expected KEY=VALUE"),
    ("--config-dir=none", "--config-dir none: no such folder"),
    ("--config-name=x", "unrecognized arguments: --config-name=x; `pixelrnn train --help` lists"),
    ("--cfg wrong", "argument -c/--cfg: invalid choice: 'wrong'"),
    ("--shell-completion=fish", "--shell-completion fish: choose from bash, zsh"),
    ("--cfg job --package no.such", "--package no.such: no such node"),
]


@pytest.mark.parametrize(("words", "says"), LINES, ids=lambda value: value[:30])
def test_one_line_says_what_was_meant(words, says, capfd):
    assert main(["train", *words.split()]) == 2
    out, err = capfd.readouterr()
    (line,) = err.strip().splitlines()
    assert says in line
    assert "provider" not in line
    assert out == ""


def test_all_that_is_wrong_is_said_at_once():
    words = ["model.hiden=3", "modle=x", "optimizer=lion", "data=digts", "seed=1"]
    with pytest.raises(ConfigError) as error:
        compose.composed(words)
    assert str(error.value).count("no such") == 4
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["größe", "lr=0.1,h=3 (a)", "it's", "a\\b", "100%", "[x]"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_paths_are_taken_literally(value, quote):
    words = [f"{key}={quote}{value}{quote}" for key in ("folder", "paths.runs", "paths.data")]
    config = compose.composed([*words, "data=cifar10"])
    assert config["folder"] == config["paths"]["runs"] == config["data"]["root"] == value


def test_letters_of_all_languages_need_no_quotes():
    assert compose.composed(["label=größe"])["label"] == "größe"


def test_composing_leaves_nothing_behind():
    script = (
        "import os, sys\n"
        "from hydra.core.global_hydra import GlobalHydra\n"
        "from hydra.core.hydra_config import HydraConfig\n"
        "before = list(sys.argv), dict(os.environ)\n"
        "from pixelrnn.cli import compose\n"
        "from pixelrnn.errors import PixelRNNError\n"
        "for words in (['seed=3'], ['sed=3'], ['model=x'], ['seed=x']):\n"
        "    try:\n"
        "        compose.composed(words)\n"
        "    except PixelRNNError:\n"
        "        pass\n"
        "assert (list(sys.argv), dict(os.environ)) == before\n"
        "assert not GlobalHydra.instance().is_initialized()\n"
        "assert not HydraConfig.initialized()\n"
        "heavy = {'torch', 'pytorch_lightning', 'wandb', 'sklearn', 'matplotlib'}\n"
        "assert heavy.isdisjoint(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_wrong_word_is_refused_before_what_trains_is_imported():
    script = (
        "import sys, pixelrnn.cli.main as m\n"
        "assert m.main(['train', 'modle=x']) == 2\n"
        "assert m.main(['train', '--help']) == 0\n"
        "assert m.main(['train', '-m', 'model.hiden=1,2']) == 2\n"
        "heavy = {'torch', 'pytorch_lightning', 'wandb', 'sklearn', 'matplotlib'}\n"
        "assert heavy.isdisjoint(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_sources_are_read_through_packages_bases_and_factories(tmp_path, monkeypatch):
    package = tmp_path / "read_me"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import Thing as Renamed, Made\n")
    (package / "inner.py").write_text(
        "class Base:\n    '''B.\n\n    Args:\n        a: first.\n    '''\n\n    a: int\n\n"
        "class Thing(Base):\n    '''T.\n\n    Args:\n        b (int, optional): second\n"
        "            half.\n    '''\n\n    b: int = 0\n\n"
        "class Other:\n    def __init__(self, c, *, d=1):\n        raise RuntimeError\n\n"
        "def make(kind) -> 'Other': ...\n"
        "def maker(kind) -> Other: ...\n"
        "Made = maker(Thing)\n"
        "raise RuntimeError('imported')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    thing = source_text.constructor("read_me.Renamed")
    assert thing == source_text.Constructor(("a", "b"), {"a": "first.", "b": "second half."})
    made = source_text.constructor("read_me.Made")
    assert made is not None
    assert made.names == ("a", "b", "c", "d")
    assert source_text.constructor("read_me.Nothing") is None
    assert source_text.constructor("no_such_package.Thing") is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.hidden=", "+hydra.sweeper.params.seed='0,1'"], "Hydra cannot compose this"),
        (["hydra.sweeper=null"], "a multirun needs a sweeper"),
        (["model=,", "model=range(0)"], "model=,"),
    ],
)
def test_words_of_a_multirun_that_make_no_configuration_are_one_line(words, says, capfd):
    assert main(["train", "-m", *words]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert says in line
