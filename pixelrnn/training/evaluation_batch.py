"""How many images an evaluation computes together: by the memory that one forward pass takes.

The number is a function of the model and its kernels, never of what memory happens to be free, so
that a resumed run gets the same batches and the same bits. Every image is computed alone whatever
the batch, so another number changes metrics by rounding only.

Measured on a core of an AMD EPYC, torch 2.13, per image and relative to the forward pass of a
training step, for batches of 4 to 1024 of all five networks, 8x8 and 28x28: the fastest batches are
those whose tensors take 20 to 60 MB together. Smaller ones wait for calls, larger ones for memory:
a PixelCNN of 15 blocks on 28x28 took 0.83 with 32 images, 1.55 with 256.
"""

import weakref
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from pixelrnn import symbols
from pixelrnn.data.base import PixelDataModule
from pixelrnn.models.base import ImageDistribution
from pixelrnn.training import process

TARGET = {"cpu": 48 * 2**20}
"""Bytes that the tensors of a batch may take together, for each kind of device."""

TARGET_ELSEWHERE = 2**30
"""The same for accelerators, which have memory of their own and want much work at once. Not
measured."""

LEAST, LEAST_WITHIN = 8, 2**30
"""Images computed together even above the target, as long as they stay within so many bytes."""

MOST = 4096


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, while they are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}  # storage -> bytes
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and look at what it has made."""
        out = func(*args, **(kwargs or {}))
        for tensor in _pytree.tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.alive:
            self.alive[key] = storage.nbytes()
            self.now += self.alive[key]
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.now -= self.alive.pop(key)


def peak_bytes(model: ImageDistribution, images: int) -> int:
    """Return the most bytes that tensors take together while images are scored without gradients.

    Weights are not counted, what is made of them is. The model is scored in eval mode and left in
    the modes that it was in.

    Args:
        model: on any device.
        images: how many are scored together, at least 1.
    """
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    dtype = symbols.dtype(model.levels)
    blank = torch.zeros(images, *model.image_shape, dtype=dtype, device=device)
    labels = None if model.classes is None else torch.zeros(images, dtype=torch.int64).to(device)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), _LiveBytes() as counted:
            model._log_prob(blank, labels)
    finally:
        for module, training in modes.items():
            module.training = training
    return counted.peak


def images_within(model: ImageDistribution, device_type: str) -> int:
    """Return how many images one process computes together: a power of two.

    Args:
        model: on any device; three forward passes of one or two images are computed there.
        device_type: of the device that will evaluate, "cpu" or another.
    """
    peak_bytes(model, 1)  # what is made once in a process, such as masks, is made here
    one, two = peak_bytes(model, 1), peak_bytes(model, 2)
    each = max(1, two - one)
    shared = max(0, one - each)

    def within(limit: int) -> int:
        return max(1, min(MOST, (limit - shared) // each))

    count = within(TARGET.get(device_type, TARGET_ELSEWHERE))
    count = max(count, min(LEAST, within(LEAST_WITHIN)))
    return 1 << (count.bit_length() - 1)


def settle(data: Any, model: ImageDistribution, trainer: Trainer) -> None:
    """Decide what `eval_batch_size=auto` means for a model, unless it has been decided, and say it.

    Args:
        data: whose evaluations are meant; any but a `PixelDataModule` is left alone.
        model: that is evaluated.
        trainer: that evaluates. Its processes share the images of a batch.
    """
    if isinstance(data, PixelDataModule) and data.evaluation_batch is None:
        count = images_within(model, trainer.strategy.root_device.type)
        data.settled_batch = count * trainer.world_size
        process.say(f"evaluates {data.settled_batch} images at once (data.eval_batch_size=auto)")


def save(checkpoint: dict[str, Any], trainer: Trainer) -> None:
    """Note in a checkpoint how many images are evaluated together."""
    data = getattr(trainer, "datamodule", None)
    if isinstance(data, PixelDataModule):
        checkpoint["evaluation_batch"] = data.evaluation_batch


def load(checkpoint: dict[str, Any], trainer: Trainer) -> None:
    """Let "auto" mean what it meant before: the metrics keep their bits."""
    data, count = getattr(trainer, "datamodule", None), checkpoint.get("evaluation_batch")
    if count and isinstance(data, PixelDataModule):
        data.settled_batch = int(count)
