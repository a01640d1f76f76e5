"""The life of a run folder, through the command line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import pixelrnn
from pixelrnn.cli.main import main
from pixelrnn.data import Digits
from pixelrnn.errors import RunError

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
TINY = [
    "train",
    "threads=1",
    "logger=csv",
    "callbacks.summary=null",
    "callbacks.samples.every_n_epochs=1",
    "callbacks.samples.n=2",
    "data.batch_size=128",
    "model.hidden=4",
    "model.layers=1",
    "model.head_width=4",
    "trainer.max_epochs=2",
    "evaluate=[train,val,test]",
]


def only_run() -> Path:
    (run,) = Path("runs").glob("digits-*")
    return run


@pytest.fixture
def run():
    assert main(TINY) == 0
    return only_run()


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_what_the_readme_says(run):
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert names >= {
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "results.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "samples/epoch-0001.png",
        "samples/final.png",
    }
    assert not [name for name in names if name.endswith(".tmp")]
    assert os.listdir() == ["runs"]


def test_results_are_those_of_the_stored_model(run):
    results = json.loads((run / "results.json").read_text())
    model = pixelrnn.load_model(run)
    assert not model.training
    for split in ("train", "val", "test"):
        images = torch.from_numpy(Digits().images(split))
        nats = -model.log_prob(images).double()
        metrics = results["metrics"]
        assert metrics[f"{split}/images"] == len(images)
        assert metrics[f"{split}/nll"] == pytest.approx(nats.mean().item(), rel=1e-6)
        assert metrics[f"{split}/nll_stderr"] == pytest.approx(
            (nats.std() / len(nats) ** 0.5).item(), rel=1e-4
        )
        bits = pixelrnn.bits_per_dim(-nats.mean().item(), (1, 8, 8))
        assert metrics[f"{split}/bits_per_dim"] == pytest.approx(bits, rel=1e-6)
    assert results["parameters"] == sum(p.numel() for p in model.parameters())
    assert results["steps"] == 2 * 11


def test_the_same_command_reports_the_stored_result(run, capfd):
    before = tree(run)
    assert main([*TINY, "threads=2"]) == 0  # threads cannot change the result
    assert "finished before" in capfd.readouterr().out
    assert tree(run) == before
    assert main([*TINY, "seed=1"]) == 0
    assert len(list(Path("runs").glob("digits-*"))) == 2


def test_a_half_done_run_goes_on(run):
    whole = pixelrnn.load_model(run).state_dict()
    rows = (run / "metrics.csv").read_text()
    os.rename(run, "undisturbed")

    from pytorch_lightning.callbacks import Callback

    class Dies(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    import pixelrnn.training.callbacks as ours

    ours.Dies = Dies
    try:
        argv = [*TINY, "+callbacks.progress2._target_=pixelrnn.training.callbacks.Dies"]
        argv += ["folder=runs/half"]
        assert main(argv) == 130
        assert not Path("runs/half/results.json").exists()
        ours.Dies = Callback
        assert main(argv) == 0
    finally:
        del ours.Dies
    resumed = pixelrnn.load_model("runs/half").state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert len(Path("runs/half/metrics.csv").read_text().splitlines()) == len(rows.splitlines())


def test_a_folder_of_another_configuration_is_left_alone(run, capfd):
    before = tree(run)
    assert main([*TINY, "seed=3", f"folder={run}"]) == 2
    assert "another configuration" in capfd.readouterr().err
    assert tree(run) == before


def test_evaluate_agrees_with_the_record(run, capfd):
    assert main(["evaluate", f"run={run}", "split=val", "threads=1", "batch_size=7"]) == 0
    results = json.loads((run / "results.json").read_text())["metrics"]
    assert f"{results['val/bits_per_dim']:.4f}" in capfd.readouterr().out


def test_sample_and_complete(run):
    argv = ["sample", f"run={run}", "n=3", "threads=1", "seed=5", "out=mine"]
    assert main(argv) == 0
    samples = np.load("mine.npy")
    assert samples.shape == (3, 1, 8, 8)
    assert samples.dtype == np.uint8
    assert main([*argv[:-1], "out=again"]) == 0
    assert np.array_equal(np.load("again.npy"), samples)
    assert Path("mine.png").read_bytes()[1:4] == b"PNG"

    argv = ["complete", f"run={run}", "n=2", "draws=3", "threads=1", "out=done"]
    assert main(argv) == 0
    rows = np.load("done.npy").reshape(2, 5, 1, 8, 8)
    originals = Digits().images("test")[:2]
    assert np.array_equal(rows[:, 4], originals)
    for draw in range(1, 4):
        assert np.array_equal(rows[:, draw, :, :4], originals[:, :, :4])


@pytest.mark.parametrize("damage", ["missing", "flipped", "config", "weights"])
def test_damaged_runs_are_refused(run, capfd, damage):
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    if damage == "missing":
        for path in run.glob("checkpoints/*.ckpt"):
            path.unlink()
        (run / "weights.safetensors").unlink()
    elif damage == "flipped":
        for path in (best, last):
            content = bytearray(path.read_bytes())
            content[3000] ^= 4
            path.write_bytes(content)
    elif damage == "config":
        (run / "config.yaml").unlink()
    else:
        content = torch.load(best)
        content["model"]["hidden"] = 5
        best.with_name("best.ckpt.sha256").unlink()
        torch.save(content, best)
    assert main(["evaluate", f"run={run}", "threads=1"]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert str(run) in lines[0]


def test_a_checkpoint_calls_nothing_but_models(run):
    best = run / "checkpoints" / "best.ckpt"
    content = torch.load(best)
    content["model"] = {"_target_": "os.mkdir", "path": "called"}
    best.with_name("best.ckpt.sha256").unlink()
    torch.save(content, best)
    with pytest.raises(RunError, match=r"will not call os.mkdir"):
        pixelrnn.load_model(run)
    assert not Path("called").exists()


def test_a_training_that_ends_before_its_first_validation_is_evaluated():
    assert main([*TINY, "trainer.max_steps=1"]) == 0
    assert json.loads((only_run() / "results.json").read_text())["steps"] == 1


def test_known_entropy_reaches_the_record():
    argv = ["data=mesh", "data.height=3", "data.width=3"]
    assert main([*TINY, *argv, "trainer.limit_train_batches=1"]) == 0
    (run,) = Path("runs").glob("mesh-*")
    metrics = json.loads((run / "results.json").read_text())["metrics"]
    assert {"test/gap", "test/gap_stderr", "test/regret", "test/regret_stderr"} <= set(metrics)
