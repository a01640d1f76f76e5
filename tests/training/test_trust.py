"""A stored configuration calls nothing but parts of a run, however a name is spelt."""

import sys
from pathlib import Path

import pytest

from pixelrnn.errors import RunError
from pixelrnn.training import trust

HOSTILE = [
    "os.mkdir",
    "os.system",
    "builtins.exec",
    "subprocess.Popen",
    "sys.modules",
    "pixelrnn.atomic.os.mkdir",
    "pixelrnn.atomic.os.system",
    "pixelrnn.errors.PixelRNNError",
    "pixelrnn.errors.sys",
    "pixelrnn.atomic.replacing",
    "pixelrnn.runs.nodes.build",
    "pixelrnn.runs.nodes.functools.partial",
    "pixelrnn.training.load.load_model.__globals__",
    "pytorch_lightning.os.system",
    "torch.load",
    "torch.hub.load",
    "torch.utils.cpp_extension.load",
    "pytorch_lightning.loggers.wandb.os.system",
    "hydra.utils.get_class",
    "hydra.utils.instantiate",
    "pixelrnn",
    "",
    "os",
    "a b.c",
    "antigravity.webbrowser",
    "idlelib.run.main",
]
NESTED = [
    lambda node: node,
    lambda node: {"callbacks": {"evil": node}},
    lambda node: {"x": [{"y": [node]}]},
    lambda node: {"_target_": "pixelrnn.models.PixelCNN", "likelihood": node},
    lambda node: node | {"_partial_": True},
    lambda node: {"_target_": "torch.optim.AdamW", "_args_": [node]},
]


@pytest.mark.parametrize("target", HOSTILE)
@pytest.mark.parametrize("nest", NESTED)
def test_what_is_no_part_of_a_run_is_refused_in_one_line(target, nest):
    config = nest({"_target_": target, "path": "called"})
    with pytest.raises(RunError, match="will not call") as refused:
        trust.check(config, trust.RUNS, "run")
    assert "\n" not in str(refused.value)
    assert not Path("called").exists()
    assert "antigravity" not in sys.modules
    assert "idlelib" not in sys.modules


@pytest.mark.parametrize(
    "target",
    [
        "pixelrnn.models.RowLSTM",
        "pixelrnn.models.row_lstm.RowLSTM",
        "pixelrnn.likelihood.for_levels",
        "pixelrnn.likelihood.Bernoulli",
        "pixelrnn.data.Digits",
        "pixelrnn.ops.conv_lstm.dispatch.Kernel",
        "pixelrnn.training.schedules.cosine",
        "pixelrnn.training.csv_log.MetricsCSV",
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.StepLR",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "pytorch_lightning.loggers.WandbLogger",
    ],
)
def test_parts_of_runs_are_let_through(target):
    trust.check({"_target_": target}, trust.RUNS, "run")


def test_a_model_names_no_callback():
    with pytest.raises(RunError, match=r"will not call pytorch_lightning\.Trainer"):
        trust.check({"_target_": "pytorch_lightning.Trainer"}, trust.PARTS, "run")


def test_a_users_own_part_is_let_through_but_not_other_things_beside_it(monkeypatch, tmp_path):
    (tmp_path / "own_parts.py").write_text(
        "import os\n"
        "from pixelrnn.models import PixelCNN\n"
        "class Mine(PixelCNN): pass\n"
        "def make() -> PixelCNN: return PixelCNN((1, 8, 8))\n"
        "def harm(): open('called', 'w')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for target in ("own_parts.Mine", "own_parts.make"):
        trust.check({"_target_": target}, trust.PARTS, "run")
    for target in ("own_parts.harm", "own_parts.os.mkdir", "own_parts.Other"):
        with pytest.raises(RunError, match=f"will not call {target}"):
            trust.check({"_target_": target}, trust.PARTS, "run")
    sys.modules.pop("own_parts", None)


def test_an_installed_package_must_be_named_to_be_trusted(monkeypatch, tmp_path):
    (tmp_path / "installed_parts.py").write_text("from pixelrnn.models import PixelCNN")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(trust.sysconfig, "get_path", lambda name: str(tmp_path))
    node = {"_target_": "installed_parts.PixelCNN"}
    with pytest.raises(RunError, match="PIXELRNN_TRUSTED=installed_parts"):
        trust.check(node, trust.PARTS, "run")
    assert "installed_parts" not in sys.modules
    monkeypatch.setenv("PIXELRNN_TRUSTED", "other,installed_parts")
    trust.check(node, trust.PARTS, "run")
    sys.modules.pop("installed_parts")
