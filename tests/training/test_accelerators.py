"""What `auto` takes, with a CPU or a device that goes wrong in the place of a GPU."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import pixelrnn
from pixelrnn.models import PixelCNN
from pixelrnn.training import accelerators, devices, process
from tests.training.runs import small

GPU = torch.device("meta")  # is no CPU, and computes nothing: what runs there is put in by a test
DATA = SimpleNamespace(batch_size=8)


def config(**trainer):
    return {"trainer": {"accelerator": "auto", "devices": 1} | trainer, "threads": None}


def measured(cpu, gpu):
    return lambda candidates, **_: {"cpu": cpu, GPU.type: gpu}


@pytest.fixture
def card(monkeypatch):
    """A GPU whose steps are a CPU's."""
    monkeypatch.setattr(accelerators, "device", lambda _: GPU)
    steps = accelerators._Steps
    honest = steps.loss_and_gradient
    monkeypatch.setattr(
        steps, "loss_and_gradient", lambda self, _: honest(self, torch.device("cpu"))
    )
    monkeypatch.setattr(steps, "timed", lambda self, measure: measure({}))
    return steps


def chosen(measure=None, model=None, processes=1, before=None, **trainer):
    model = model or small()
    given = {"measure": measure} if measure else {}
    return accelerators.chosen(config(**trainer), model, DATA, processes, before, **given)


def test_without_a_gpu_there_is_nothing_to_say(monkeypatch):
    monkeypatch.setattr(accelerators, "device", lambda _: torch.device("cpu"))
    assert chosen() == ("cpu", "")


def test_the_users_word_is_taken_as_it_is(card):
    assert chosen(accelerator="gpu") == ("gpu", "")
    assert chosen(accelerator="cpu") == ("cpu", "")


def test_the_faster_device_is_taken(card):
    taken, why = chosen(measured(cpu=0.2, gpu=0.05))
    assert (taken, why) == ("meta", "a step takes 0.05 s there, 4 times as fast")
    taken, why = chosen(measured(cpu=0.01, gpu=0.05))
    assert (taken, why) == ("cpu", "a step takes 0.01 s here, 5 times as fast")


def test_a_large_model_is_not_timed(card, monkeypatch):
    monkeypatch.setattr(accelerators, "TRIED_BELOW", 10)
    assert chosen(lambda *_, **__: pytest.fail("timed")) == ("meta", "the model is large")


@pytest.mark.parametrize("size", [0, 10**30])
def test_a_gpu_that_computes_something_else_is_not_taken(card, monkeypatch, size):
    """Even for a large model."""
    monkeypatch.setattr(accelerators, "TRIED_BELOW", size)
    for wrong in ((1.003, 1), (1, 1.003), (float("nan"), 1)):
        found = card.loss_and_gradient

        def off(self, where, found=found, wrong=wrong):
            loss, length = found(self, where)
            return (loss * wrong[0], length * wrong[1]) if where == GPU else (loss, length)

        with monkeypatch.context() as patch:
            patch.setattr(card, "loss_and_gradient", off)
            taken, why = chosen(measured(cpu=1, gpu=0.1))
        assert taken == "cpu"
        assert why.startswith("the first loss on meta is")


def test_a_gpu_that_fails_is_not_taken(monkeypatch):
    monkeypatch.setattr(accelerators, "device", lambda _: GPU)
    taken, why = chosen(measured(cpu=1, gpu=0.1))  # a loss on "meta" has no number
    assert taken == "cpu"
    assert why.startswith("a trial on meta failed (")


def test_a_run_goes_on_where_its_first_half_was(card):
    assert chosen(before="cpu") == ("cpu", "as in the first half of this run")
    assert chosen(before="meta")[0] == "meta"
    assert chosen(measured(cpu=1, gpu=0.1), before="cuda")[0] == "meta"  # that one is gone


@pytest.mark.parametrize("asked", [{"devices": [1]}, {"devices": "auto"}])
def test_devices_that_were_asked_for_are_taken(card, asked):
    assert chosen(**asked)[0] == "meta"
    assert chosen(processes=2)[0] == "meta"


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("levels", [17, 300])
def test_a_step_is_that_of_the_training(levels, classes):
    """Loss and gradient are those of the model, which itself stays as it was."""
    model = PixelCNN((1, 8, 8), levels, hidden=4, layers=1, head_width=4, classes=classes).train()
    steps = accelerators._Steps(model, 8, torch.device("cpu"), "bf16-mixed")
    cpu = torch.device("cpu")
    loss, length = steps.loss_and_gradient(cpu)
    images, labels = steps._images(2, cpu)
    expected = -model.log_prob(images, labels).mean()
    expected.backward()
    assert loss == pytest.approx(expected.item())
    squares = [w.grad.square().sum() for w in model.parameters() if w.grad is not None]
    assert length == pytest.approx(torch.stack(squares).sum().sqrt().item())
    assert model.training
    assert steps.autocast == torch.bfloat16
    ran = []
    steps.timed(
        lambda candidates, **_: [ran.append(name) or run() for name, run in candidates.items()]
    )
    assert ran == ["cpu"]
    steps.release()


def test_what_was_taken_is_in_the_record_and_in_the_folder():
    tiny = ["debug=fast", "logger=csv", "callbacks.progress=null", "callbacks.summary=null"]
    result = pixelrnn.train([*tiny, "model.hidden=4", "model.layers=1", "folder=run"])
    stored = json.loads(Path("run/environment.json").read_text())
    for environment in (stored, result["environment"]):
        assert environment["accelerator"] == "cpu"
        assert any(line.startswith("lstm_blocks kernel: ") for line in environment["kernels"])
    assert result["config"]["trainer"]["accelerator"] == "auto"


def test_the_line_says_what_and_why(card, capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(
        accelerators, "chosen", lambda *_: accelerators.Choice("cpu", "a step takes 1 s here")
    )
    given = config() | {"folder": str(tmp_path)}
    assert accelerators.settled(given, small(), DATA, 1) == "cpu"
    said = "trainer.accelerator=auto takes the CPU: a step takes 1 s here"
    assert said in capfd.readouterr().err


def test_lightning_is_given_what_was_taken():
    found = devices.Layout(1, 1, 1, "cuda")
    assert devices.arguments(found, {"accelerator": "auto"})["accelerator"] == "cuda"


def test_convolutions_are_exact_while_a_run_lasts():
    """Torch rounds the inputs of convolutions on a GPU unless told otherwise."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        with process.seeded(0, 1):
            assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
