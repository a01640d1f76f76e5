"""What a model says about images, batch by batch: every figure that shows probabilities asks here.

Axes: `B` images, `C` colours, `L` levels, `H W` image.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pixelrnn.models.base import ImageDistribution

_NUMBERS = 1 << 25
"""How many probabilities are held at once: 128 MiB in float32."""


def tables(
    model: ImageDistribution, images: Tensor, labels: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Compute the conditionals of images in batches that fit the memory.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W) on the CPU.
        labels: int64 (B,) for a class-conditional model, else None.

    Yields:
        Images (b, C, H, W), and log p of every level (b, C, L, H, W) in nats; both on the CPU.

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    device = next(model.parameters()).device
    size = max(1, _NUMBERS // (math.prod(model.image_shape) * model.levels))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        given = None if labels is None else labels[start : start + size].to(device)
        with torch.inference_mode():
            yield part, model.conditionals(part.to(device), given).cpu()


def sub_pixel_bits(
    model: ImageDistribution, images: Tensor, labels: Tensor | None = None
) -> Tensor:
    """Compute -log2 p of every sub-pixel of images, given those before it.

    Summed over an image it is the image's negative log-likelihood in bits.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W) on the CPU.
        labels: int64 (B,) for a class-conditional model, else None.

    Returns:
        float64 (B, C, H, W) bits, on the CPU.

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    bits = [torch.zeros(0, *model.image_shape, dtype=torch.float64)]
    for part, log_probs in tables(model, images, labels):
        true = log_probs.gather(2, part.long()[:, :, None])[:, :, 0]
        bits.append(-true.double() / math.log(2))
    return torch.cat(bits)
