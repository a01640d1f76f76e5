"""The presets debug=..., trainer=gpu and optimizer=sgd do what their first lines say."""

import csv
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

import pixelrnn
from pixelrnn.cli import compose
from pixelrnn.runs import signature
from pixelrnn.training.callbacks import MatmulPrecision
from tests.training.runs import At, fit

pytestmark = pytest.mark.filterwarnings("ignore")
TINY = ["model=pixelcnn", "model.hidden=8", "model.layers=1", "model.head_width=8", "logger=csv"]


def curve(name):
    with open(Path("run/metrics.csv"), newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.mark.long
def test_overfit_learns_one_batch_by_heart():
    words = ["debug=overfit", "data.batch_size=2", "optimizer.lr=0.03", "trainer.max_epochs=100"]
    record = pixelrnn.train([*TINY, *words, "folder=run"])
    assert record["steps"] == 100
    losses = curve("train/bits_per_dim")
    assert losses[-1] < 0.25 * losses[0]
    assert record["metrics"]["val/bits_per_dim"] > 1


def test_fast_is_two_steps(capfd):
    record = pixelrnn.train([*TINY, "debug=fast", "folder=run"])
    assert (record["steps"], record["epochs"]) == (2, 1)


def test_profile_is_printed_and_makes_no_new_run(capfd):
    record = pixelrnn.train([*TINY, "debug=profile"])
    assert record["steps"] == 20
    assert "run_training_batch" in capfd.readouterr().err
    plain = pixelrnn.train([*TINY, "debug=profile", "trainer.profiler=null"])
    assert plain["signature"] == record["signature"]


def test_sgd_trains():
    record = pixelrnn.train([*TINY, "debug=fast", "optimizer=sgd", "folder=run"])
    assert record["config"]["optimizer"]["_target_"] == "torch.optim.SGD"


def test_on_a_gpu_products_are_in_tensorfloat():
    plain, gpu = compose.composed([]), compose.composed(["trainer=gpu"])
    assert plain["trainer"]["accelerator"] == "auto"
    assert gpu["trainer"] == {**plain["trainer"], "accelerator": "gpu"}
    exact, rounding = (one["callbacks"].pop("matmul_precision") for one in (plain, gpu))
    assert (exact["precision"], rounding["precision"]) == ("highest", "high")
    assert gpu["callbacks"] == plain["callbacks"]
    asked = compose.composed(["trainer=gpu", "callbacks.matmul_precision.precision=highest"])
    assert asked["callbacks"]["matmul_precision"] == exact


def test_exact_products_are_those_of_earlier_versions():
    """Runs from before there was a key for them keep their signature."""
    plain = compose.composed([])
    earlier = {**plain, "callbacks": dict(plain["callbacks"])}
    del earlier["callbacks"]["matmul_precision"]
    assert signature.signature(plain) == signature.signature(earlier)


def test_ddp_is_the_run_that_gpu_is():
    gpu, ddp = compose.composed(["trainer=gpu"]), compose.composed(["trainer=ddp"])
    assert ddp["trainer"] == {**gpu["trainer"], "accelerator": "auto", "devices": "auto"}
    assert signature.signature(ddp) == signature.signature(gpu)


def test_matmul_precision_is_of_the_fit_alone(tmp_path):
    before = torch.get_float32_matmul_precision()
    seen = []

    class Look(pl.Callback):
        def on_train_batch_end(self, *_):
            seen.append(torch.get_float32_matmul_precision())

    def fail():
        raise RuntimeError("stop")

    fit(tmp_path / "whole", MatmulPrecision("high"), Look(), max_epochs=1)
    assert set(seen) == {"high"}
    assert torch.get_float32_matmul_precision() == before
    with pytest.raises(RuntimeError, match="stop"):
        fit(tmp_path / "broken", MatmulPrecision("medium"), At("on_train_batch_end", 2, fail))
    assert torch.get_float32_matmul_precision() == before
