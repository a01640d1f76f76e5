"""Several processes train as one does: shares of a batch, what is written, who ends with whom."""

import csv
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import distributed

from pixelrnn import ranks
from pixelrnn.cli.main import main
from pixelrnn.data.sampler import BatchOrder
from pixelrnn.errors import ConfigError
from pixelrnn.models import PixelCNN
from pixelrnn.runs import signature
from pixelrnn.training import checkpoint, devices, progress, run, watchdog, world
from pixelrnn.training.module import PixelModule
from tests.training.test_run import config

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
TORCHRUN = {
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "1",
    "TORCHELASTIC_RUN_ID": "x",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
}
SRUN = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}


def several(processes, folder=None, **changes):
    """Two batches of 673 images, and a last one of a single image: all shares but one are empty."""
    made = config(
        folder=folder or f"processes-{processes}",
        data__batch_size=673,
        trainer__max_epochs=2,
        trainer__devices=processes,
        trainer__log_every_n_steps=1,
        trainer__accumulate_grad_batches=2,
        trainer__gradient_clip_val=0.5,
        trainer__limit_train_batches=None,
        **changes,
    )
    made["data"]["eval_batch_size"] = 32
    made["callbacks"]["ema"] = {
        "_target_": "pixelrnn.training.averaging.AveragedWeights",
        "decay": 0.9,
    }
    made["logger"] = {
        "csv": {"_target_": "pixelrnn.training.csv_log.MetricsCSV", "save_dir": "{folder}"}
    }
    return made


def curves(folder):
    with open(Path(folder) / "metrics.csv") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def assert_alike(folders, tolerance=2e-5):
    """Logged losses and norms, exact metrics, weights and their averages."""
    first, *others = [curves(folder) for folder in folders]
    for other in others:
        assert [row.keys() for row in other] == [row.keys() for row in first]
        for a, b in zip(first, other, strict=True):
            np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=tolerance)
    first, *others = [checkpoint.read(Path(folder) / "checkpoints/last.ckpt") for folder in folders]
    for other in others:
        assert other["global_step"] == first["global_step"]
        for kind in ("state_dict", "current_model_state"):
            for name, weight in first.get(kind, {}).items():
                torch.testing.assert_close(
                    other[kind][name], weight, rtol=tolerance, atol=tolerance
                )


@pytest.mark.long
def test_two_processes_do_what_one_does(capfd):
    environment = dict(os.environ)
    one = run.train(several(1))
    two = run.train(several(2))
    assert dict(os.environ) == environment
    assert not distributed.is_initialized()
    assert_alike(["processes-1", "processes-2"])
    assert one["signature"] == two["signature"]
    assert one["metrics"] == pytest.approx(two["metrics"], rel=1e-5)
    assert {name for name in one["metrics"] if name.endswith("_stderr")}
    assert capfd.readouterr() == ("", "")
    assert run.train(several(1, folder="processes-2")) == two


@pytest.mark.slow
def test_half_precision_and_layers_that_are_computed_twice():
    """In bfloat16 a product rounds by the shape of its batch, so losses agree to a few digits."""
    for processes in (1, 2):
        made = several(processes, trainer__precision="bf16-mixed", model__checkpoint_layers=True)
        made["model"]["_target_"] = "pixelrnn.models.RowLSTM"
        run.train(made)
    one, two = (curves(f"processes-{processes}") for processes in (1, 2))
    assert len(one) == len(two) > 4
    for a, b in zip(one, two, strict=True):
        assert a["step"] == b["step"]
        for name in {"train/nll", "val/nll"} & a.keys():
            assert a[name] == pytest.approx(b[name], rel=2e-3)


def test_the_loss_of_uneven_shares_has_the_gradient_of_the_whole_batch():
    model = PixelCNN((1, 4, 4), 3, hidden=3, layers=1, head_width=4)
    images = torch.randint(3, (5, 1, 4, 4), dtype=torch.uint8)
    weights = list(model.parameters())
    whole = torch.autograd.grad(model.log_prob(images).mean(), weights)
    total = torch.tensor([-model.log_prob(images).double().sum().item(), 5])
    module = PixelModule(model)
    gradients = []
    for share in (images[:3], images[3:], images[:0]):
        reduce = lambda *_, **__: total  # noqa: E731
        module._trainer = SimpleNamespace(world_size=3, strategy=SimpleNamespace(reduce=reduce))
        loss, nll = module._batch_means(model.log_prob(share))
        gradients.append(torch.autograd.grad(loss, weights))
        assert nll.item() == pytest.approx(total[0].item() / 5)
    scale = -np.log(2) * 16  # of bits/dim
    for *parts, expected in zip(*gradients, whole, strict=True):
        torch.testing.assert_close(sum(parts) / 3 * scale, expected)


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_every_image_is_in_one_share(world):
    shares = [list(BatchOrder(13, 5, seed=1, rank=rank, world=world)) for rank in range(world)]
    (whole,) = [list(BatchOrder(13, 5, seed=1))]
    for batches, one in zip(zip(*shares, strict=True), whole, strict=True):
        assert sorted(i for batch in batches for i in batch.indices) == sorted(one.indices)


def test_what_started_the_processes_is_read_from_the_environment(monkeypatch):
    assert ranks.place() is None
    assert ranks.is_first()
    for environment, starter in ((SRUN, "srun"), (TORCHRUN, "torchrun")):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert ranks.place() == ranks.Place(starter, 3, 4, 1, 2)
        assert not ranks.is_first()


def layout(monkeypatch=None, environment=(), **trainer):
    for name, value in dict(environment).items():
        monkeypatch.setenv(name, value)
    made = config()
    made["trainer"] |= trainer
    return devices.layout(made)


def test_the_processes_of_a_configuration(monkeypatch):
    assert layout() == (1, 1, 1, "cpu")
    assert layout(devices="3") == (3, 1, 3, "cpu")
    found = layout(monkeypatch, TORCHRUN, devices="auto", num_nodes=None)
    assert found == (2, 2, 2, "cpu")
    assert found.size == 4


@pytest.mark.parametrize(
    ("trainer", "environment", "message"),
    [
        ({"devices": 0}, {}, r"trainer\.devices=0"),
        ({"devices": "two"}, {}, r"trainer\.devices=two"),
        ({"devices": [0, 1]}, {}, "on the CPU"),
        ({"devices": 2, "num_nodes": 2}, {}, r"num_nodes=2: .*torchrun or srun"),
        ({"devices": 1}, TORCHRUN, r"torchrun started 2 processes on each of 2.*trainer=ddp"),
        ({"devices": 4}, SRUN, "srun started 2 processes on each of 2"),
        ({"devices": 129}, {}, r"data\.batch_size=128: .* 129 processes"),
    ],
)
def test_what_cannot_train_together_is_refused_in_one_line(
    trainer, environment, message, monkeypatch
):
    with pytest.raises(ConfigError, match=message) as caught:
        layout(monkeypatch, environment, **trainer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork", "ddp_notebook", "fsdp", "deepspeed"])
def test_strategies_that_do_not_work_here_are_refused_before_anything_is_written(strategy):
    with pytest.raises(ConfigError, match=f"strategy={strategy}"):
        run.train(config(trainer__devices=2, trainer__strategy=strategy))
    assert os.listdir() == []


def test_the_number_of_processes_is_no_part_of_a_run():
    assert signature.signature(config()) == signature.signature(config(trainer__devices=4))


def test_one_process_agrees_with_itself():
    assert world.size() == 1
    assert world.united({3, 5}) == {3, 5}
    assert world.from_first(lambda: 7) == world.all_or_none(lambda: 7) == 7
    assert world.gathered("x") == ["x"]


@pytest.fixture
def dogs(monkeypatch):
    """Watchdogs of three processes, here in one, and what they did to end their process."""
    exits = []
    monkeypatch.setattr(watchdog, "GRACE", 0.3)
    monkeypatch.setattr(watchdog.os, "_exit", exits.append)
    store = distributed.HashStore()
    found = [None] * 3

    def start(rank):
        place = ranks.Place("torchrun", rank, 3, rank, 3)
        found[rank] = watchdog.Watchdog(place, store, "127.0.0.1")

    starting = [threading.Thread(target=start, args=(rank,)) for rank in range(3)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join(timeout=20)
    yield found, exits
    for dog in found:
        dog.close()


def test_a_process_that_leaves_is_not_missed(dogs):
    (first, second, third), exits = dogs
    second.close()
    third.close()
    assert first.loss(wait=0.5) is None
    assert exits == []


def test_a_process_that_fails_says_why_and_the_others_end(dogs, capfd):
    (first, second, third), exits = dogs
    first.saved = third.saved = lambda: "goes on from step 4"
    second.tell("training diverged")
    assert first.loss(5) == ("process 1 of 3: training diverged; goes on from step 4", True)
    assert third.loss(5) == (first.loss().text, False)
    time.sleep(1)  # nobody's main thread ends by itself
    assert exits == [1, 1]
    assert capfd.readouterr().err == f"pixelrnn: {first.loss().text}\n"


def test_the_others_hear_of_a_loss_before_the_first_process_leaves(dogs):
    (first, second, third), _ = dogs
    send, heard = first._send, []

    def slow(message, but=None):
        time.sleep(0.3 * ("failed" in message))
        heard.append(message)
        send(message, but)

    first._send = slow
    third.tell("failed")
    assert first.loss(5) is not None
    first.close()
    assert [sorted(message) for message in heard] == [["failed", "rank", "said"], ["left"]]
    assert second.loss(5).text.startswith("process 2 of 3: failed")


@pytest.mark.parametrize("lost", [0, 2])
def test_a_process_that_is_killed_is_noticed_at_once(dogs, lost):
    found, _ = dogs
    found[lost]._ended.set()  # it does nothing any more
    found[lost]._thread.join()
    for connection in found[lost]._connections.values():
        connection.shutdown(socket.SHUT_RDWR)  # as the kernel does
    for rank, dog in enumerate(found):
        if rank != lost:
            text, told = dog.loss(wait=5)
            assert text.startswith(f"process {lost} of 3: was killed")
            assert told == (rank == (0 if lost else 1))
            dog.close()


def test_a_sweep_is_started_once(monkeypatch, capfd):
    for name, value in (TORCHRUN | {"RANK": "0"}).items():
        monkeypatch.setenv(name, value)
    assert main(["train", "-m", "seed=0,1", "trainer=ddp"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "torchrun started 4 processes" in line


def test_what_is_wrong_is_said_once(monkeypatch, capfd):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "modle=pixelcnn"]) == 2
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("RANK", "0")
    assert main(["train", "modle=pixelcnn"]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("index", [0, 6])
def test_progress_counts_the_images_of_all_processes(index):
    order = BatchOrder(1347, 224, seed=0, rank=1, world=2)
    trainer = SimpleNamespace(world_size=2)
    loader = SimpleNamespace(sampler=order)
    (batch,) = [batch for number, batch in enumerate(order) if number == index]
    images = torch.zeros(len(batch.indices), 1)
    assert progress.images_of(trainer, loader, images, index) == (3 if index == 6 else 224)
    assert progress.images_of(trainer, None, images, index) == 2 * len(images)
