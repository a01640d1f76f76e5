"""A batch too large for the memory, computed in parts: the gradient is that of the whole batch.

Each part is carried forward and backward before the next begins, so that what a part needs is free
again. That a loss weighs all images of a batch alike, as a mean does, makes this possible before
the loss is known: its gradient is the sum of the gradients of all log-probabilities, times one
weight. Losses, precision and several processes are none the wiser.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pixelrnn import refused
from pixelrnn.data.batches import examples
from pixelrnn.errors import TrainingError

LogProb = Callable[[Any], Tensor]


class InParts:
    """Computes log-probabilities of a batch in as many parts as the memory demands.

    Attributes:
        parts: how many; it doubles whenever the memory does not suffice, and never falls again.
    """

    def __init__(self) -> None:
        self.parts = 1

    def log_prob(
        self,
        of: LogProb,
        batch: Any,
        weights: Iterable[nn.Parameter],
        tell: Callable[[int], None],
    ) -> Tensor:
        """The log-probabilities of a batch, which can be differentiated once.

        Args:
            of: gives the log-probabilities of a part, (b,).
            batch: images (B, C, H, W), or a pair of images and labels (B,).
            weights: what is differentiated for.
            tell: is told the new number of parts when it has doubled.

        Returns:
            (B,). The gradient that comes for it must be the same for all images.

        Raises:
            RuntimeError, MemoryError: a single image does not fit.
        """
        free = [weight for weight in weights if weight.requires_grad]
        images, _ = examples(batch)
        before = _generators(images.device)
        while True:
            try:
                log_prob, slopes = _computed(of, batch, free, self.parts)
                break
            except (RuntimeError, MemoryError) as error:
                if not refused.for_want_of_memory(error) or self.parts >= len(images):
                    raise
            # outside of the handler the error is gone, and with it the tensors of its frames
            if images.device.type == "cuda":
                torch.cuda.empty_cache()
            _set_generators(images.device, before)
            self.parts *= 2
            tell(self.parts)
        return _Known.apply(log_prob, slopes, *free)


def _computed(
    of: LogProb, batch: Any, weights: list[nn.Parameter], parts: int
) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities (B,), and the gradient of their sum for each weight."""
    found: list[Tensor] = []
    slopes = [torch.zeros_like(weight) for weight in weights]
    with torch.enable_grad():
        for part in _split(batch, parts):
            log_prob = of(part)
            found.append(log_prob.detach())
            if len(log_prob):
                gradients = torch.autograd.grad(log_prob.sum(), weights, allow_unused=True)
                for slope, gradient in zip(slopes, gradients, strict=True):
                    if gradient is not None:
                        slope += gradient
    return torch.cat(found), slopes


def _split(batch: Any, parts: int) -> list[Any]:
    """Consecutive parts of nearly equal size, in the form of the batch."""
    images, labels = examples(batch)
    size = max(1, math.ceil(len(images) / parts))
    pieces = images.split(size)
    if labels is None:
        return list(pieces)
    return list(zip(pieces, labels.split(size), strict=True))


class _Known(torch.autograd.Function):
    """Log-probabilities whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, log_prob: Tensor, slopes: list[Tensor], *weights: Tensor) -> Tensor:
        ctx.slopes = slopes
        return log_prob.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weight = gradient[0] if len(gradient) else gradient.new_zeros(())
        if not bool((gradient == weight).all()):
            raise RuntimeError("a batch in parts needs a loss that weighs all its images alike")
        return None, None, *(slope * weight for slope in ctx.slopes)


def _generators(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_generators(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


@contextlib.contextmanager
def explained(config: dict[str, Any]) -> Iterator[None]:
    """What torch says when memory does not suffice becomes a line that names the keys which help.

    Args:
        config: of a run, checked.

    Raises:
        TrainingError: memory did not suffice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not refused.for_want_of_memory(error):
            raise
        data = config["data"]
        helps = [f"lower data.batch_size={data.get('batch_size', 'null')}"]
        if config["on_out_of_memory"] == "stop":
            helps.append("or set on_out_of_memory=halve, which computes the same batch in parts")
        if config["model"].get("checkpoint_layers") is False:
            helps.append("or model.checkpoint_layers=true, which computes layers twice")
        evaluated = data.get("eval_batch_size", "null")
        helps.append(
            "or, in a validation, choose a small data.eval_batch_size, such as 8"
            if evaluated == "auto"
            else f"or, in a validation, data.eval_batch_size={evaluated}"
        )
        said = " ".join(str(error).split())[:150] or type(error).__name__
        raise TrainingError(
            f"out of memory ({said}): {', '.join(helps)}. The same command goes on from the last "
            "checkpoint, also with these keys"
        ) from error
