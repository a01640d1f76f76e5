"""Lightning's words for where to compute, torch's devices, and what `auto` takes for a training."""

import copy
import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pixelrnn import threads
from pixelrnn.arguments import Accelerator
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import ConfigError
from pixelrnn.models.base import ImageDistribution
from pixelrnn.ops import timing
from pixelrnn.runs import record
from pixelrnn.training import checkpoint, process

log = logging.getLogger(__name__)

TRIED_BELOW = 30_000_000_000
"""Weights x images x pixels of a training step below which `auto` times a step on both devices.

Above, a step is some seconds of a CPU with two cores (2 cores AMD EPYC with AVX-512: 150 to 250
GFLOP/s, and 6 FLOP for each), and a GPU is taken without being timed. No GPU was at hand to measure
where the two meet.
"""

AGREEMENT = 1e-3
"""How far the loss and the length of the gradient on a GPU may be from the CPU's, relative."""

Measure = Callable[..., dict[str, float]]


class Choice(NamedTuple):
    """Where a training computes.

    Attributes:
        taken: "cpu", "cuda" or "mps"; or the user's own word.
        why: one clause, empty where there was nothing to choose.
    """

    taken: str
    why: str = ""


def device(accelerator: Accelerator) -> torch.device:
    """The device that Lightning would take for this word.

    Args:
        accelerator: "auto" takes the best there is; "gpu" takes CUDA or Apple's MPS.

    Raises:
        ConfigError: this machine has none.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    wanted = {"auto": ("cuda", "mps", "cpu"), "gpu": ("cuda", "mps")}.get(
        accelerator, (accelerator,)
    )
    for kind in wanted:
        if present.get(kind, False):
            return torch.device(kind)
    there = ", ".join(kind for kind, found in present.items() if found)
    raise ConfigError(f"accelerator={accelerator}: this machine has none; it has {there}")


def settled(
    config: Mapping[str, Any], model: ImageDistribution, data: PixelDataModule, processes: int
) -> str:
    """Return what `chosen` takes for a run, in Lightning's words; say it where there was a choice.

    A run that goes on computes where its first half did.
    """
    run = Path(config["folder"])
    stored = record.stored_environment(run) if checkpoint.present(run) else {}
    choice = chosen(config, model, data, processes, stored.get("accelerator"))
    if choice.why:
        where = "the CPU" if choice.taken == "cpu" else f"the GPU ({choice.taken})"
        process.say(f"trainer.accelerator=auto takes {where}: {choice.why}")
    return choice.taken


def chosen(
    config: Mapping[str, Any],
    model: ImageDistribution,
    data: PixelDataModule,
    processes: int = 1,
    before: str | None = None,
    measure: Measure = timing.medians,
) -> Choice:
    """Choose where a training computes; `auto` is decided by a step on each device.

    A GPU is taken where a first loss and its gradient agree with the CPU's, and a step is faster.
    Several processes, and GPUs that were named by number, take the GPUs that there are.

    Args:
        config: of the run: accelerator, devices and precision of the trainer; `threads`.
        model: on the CPU; it is copied.
        data: tells the size of a batch.
        processes: how many train together.
        before: what the first half of this run took, if it goes on.
        measure: times functions in turns, as `timing.medians` does.
    """
    node = config["trainer"]
    given = node.get("accelerator") or "auto"
    if given != "auto":
        return Choice(given)
    best = device("auto")
    if best.type == "cpu":
        return Choice("cpu")
    if processes > 1 or isinstance(node.get("devices"), list | str):
        return Choice(best.type, "trainer.devices asks for it")
    if before in ("cpu", best.type):
        return Choice(before, "as in the first half of this run")
    steps = _Steps(model, data.batch_size, best, str(node.get("precision")))
    count = config["threads"] or threads.for_training(
        steps.weights, data.batch_size, math.prod(model.image_shape[1:])
    )
    with threads.limited(count):
        return _tried(steps, measure)


def _tried(steps: "_Steps", measure: Measure) -> Choice:
    """Let both devices do the same; whatever goes wrong on the GPU speaks for the CPU."""
    kind = steps.gpu.type
    try:
        ours, theirs = steps.loss_and_gradient(steps.gpu), steps.loss_and_gradient(_CPU)
        if not all(
            math.isclose(a, b, rel_tol=AGREEMENT) for a, b in zip(ours, theirs, strict=True)
        ):
            return Choice("cpu", f"the first loss on {kind} is {ours[0]:.6g}, here {theirs[0]:.6g}")
        if steps.work >= TRIED_BELOW:
            return Choice(kind, "the model is large")
        seconds = steps.timed(measure)
    except Exception as error:  # whatever a driver or a library raises
        log.info("a trial on %s failed", kind, exc_info=True)
        return Choice("cpu", f"a trial on {kind} failed ({' '.join(str(error).split())[:200]})")
    finally:
        steps.release()
    gain = seconds["cpu"] / seconds[kind]
    if gain > 1:
        return Choice(kind, f"a step takes {seconds[kind]:.3g} s there, {gain:.2g} times as fast")
    return Choice("cpu", f"a step takes {seconds['cpu']:.3g} s here, {1 / gain:.2g} times as fast")


_CPU = torch.device("cpu")


class _Steps:
    """The same training step on a CPU and on a GPU, on random images."""

    def __init__(
        self, model: ImageDistribution, batch: int, gpu: torch.device, precision: str
    ) -> None:
        self.gpu, self.batch = gpu, batch
        self.autocast = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
        self.models = {"cpu": copy.deepcopy(model).eval()}  # without dropout
        self.weights = sum(weight.numel() for weight in model.parameters())
        self.work = self.weights * batch * math.prod(model.image_shape[1:])

    def loss_and_gradient(self, where: torch.device) -> tuple[float, float]:
        """Return the loss of two images in full precision, and the length of its gradient."""
        model = self._model(where)
        loss = -model.log_prob(*self._images(2, where)).mean()
        loss.backward()
        gradients = [w.grad for w in model.parameters() if w.grad is not None]
        model.zero_grad(set_to_none=True)
        return loss.item(), math.hypot(*(gradient.norm().item() for gradient in gradients))

    def timed(self, measure: Measure) -> dict[str, float]:
        """Return the seconds of a step on each device; the GPU has its libraries set up first."""
        gpu = partial(self._step, self.gpu, self._images(self.batch, self.gpu))
        for _ in range(3):
            gpu()
        cpu = partial(self._step, _CPU, self._images(self.batch, _CPU))
        return measure({self.gpu.type: gpu, "cpu": cpu}, turns=3, wait=timing.wait_for(self.gpu))

    def release(self) -> None:
        """Give back the memory of both copies."""
        self.models.clear()
        if self.gpu.type == "cuda":
            torch.cuda.empty_cache()

    def _step(self, where: torch.device, batch: tuple[Tensor, Tensor | None]) -> None:
        model = self._model(where)
        with torch.autocast(where.type, self.autocast, enabled=self.autocast is not None):
            loss = -model.log_prob(*batch).mean()
        loss.backward()
        model.zero_grad(set_to_none=True)

    def _model(self, where: torch.device) -> ImageDistribution:
        if where.type not in self.models:
            self.models[where.type] = copy.deepcopy(self.models["cpu"]).to(where)
        return self.models[where.type]

    def _images(self, count: int, where: torch.device) -> tuple[Tensor, Tensor | None]:
        model, generator = self.models["cpu"], torch.Generator().manual_seed(0)
        dtype = torch.uint8 if model.levels <= 256 else torch.int32
        shape = (count, *model.image_shape)
        images = torch.randint(model.levels, shape, dtype=dtype, generator=generator)
        if model.classes is None:
            return images.to(where), None
        labels = torch.randint(model.classes, (count,), generator=generator)
        return images.to(where), labels.to(where)
