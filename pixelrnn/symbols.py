"""The integers that images are made of.

In memory the values of sub-pixels are uint8, or int32 where there are more than 256 levels, such as
the codes of a VQ-VAE. Files hold uint8, or uint16, with which torch computes little.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # torch takes a second to import, and help needs none
    import torch
    from torch import Tensor

MOST_LEVELS = 2**16
"""Levels of a sub-pixel at most: what two bytes tell apart."""


def dtype(levels: int) -> "torch.dtype":
    """The dtype of images whose sub-pixels have so many levels, in memory."""
    import torch

    return torch.uint8 if levels <= 256 else torch.int32


def stored(levels: int) -> np.dtype:
    """The dtype of such images in files: uint8, or uint16 with its low byte first."""
    return np.dtype(np.uint8 if levels <= 256 else "<u2")


def tensor(images: np.ndarray) -> "Tensor":
    """Images of a file as they are in memory: uint8 as it is, wider integers as int32."""
    import torch

    return torch.from_numpy(images if images.dtype == np.uint8 else images.astype(np.int32))


def array(images: "Tensor", levels: int) -> np.ndarray:
    """Images as they go into a file."""
    return images.cpu().numpy().astype(stored(levels), copy=False)
