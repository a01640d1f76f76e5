"""Sources of a walk (`generation.sources`) that code: one records symbols, one asks a decoder.

Encoder and decoder are the same walk of the same model, so that both compute the same tables.
"""

import numpy as np
import torch
from torch import Tensor

from pixelrnn.compression import tables
from pixelrnn.compression.coder import Decoder, Encoder
from pixelrnn.compression.numerics import Walker
from pixelrnn.errors import CompressionError
from pixelrnn.generation.network import NoStep, OnRow
from pixelrnn.generation.sources import Position, Source


class Encoding:
    """Takes the symbols of given images, and codes each under the model's table.

    Args:
        images: uint8 (B, C, H, W).
        encoder: what codes.
    """

    def __init__(self, images: Tensor, encoder: Encoder) -> None:
        self.symbols = np.ascontiguousarray(images.cpu().numpy().transpose(2, 3, 1, 0), np.int32)
        self.encoder = encoder

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `generation.sources.Source`."""
        symbols = self.symbols[position]
        self.encoder.encode(symbols, tables.of_distributions(log_probs))
        return torch.from_numpy(symbols).to(log_probs.device)


class Decoding:
    """Asks a decoder for each symbol.

    Args:
        decoder: what decodes.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `generation.sources.Source`."""
        symbols = self.decoder.decode(tables.of_distributions(log_probs))
        return torch.from_numpy(symbols).to(log_probs.device)


def walk(
    walker: Walker,
    source: Source,
    n: int,
    labels: Tensor | None = None,
    on_row: OnRow | None = None,
) -> Tensor:
    """Walk over one batch of n images step by step: uint8 (n, C, H, W), on the CPU.

    Raises:
        CompressionError: the model can only be evaluated on whole images.
    """
    model, device = walker.model, next(walker.model.parameters()).device
    given = None if labels is None else labels.to(device)
    try:
        with walker.arithmetic():
            walked = model.walk(
                lambda part: source, n, given, batch_size=n, on_row=on_row, steps_only=True
            )
            images = next(walked)
    except NoStep as reason:
        raise CompressionError(
            f"{type(model).__name__} cannot be coded: it is evaluated on whole images only, and "
            f"those numbers differ from one to the next by rounding ({reason})"
        ) from reason
    return images.cpu()
