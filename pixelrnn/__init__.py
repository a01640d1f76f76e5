"""Pixel recurrent neural networks: exact likelihoods, exact samples, reproducible tables."""

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "PixelCNN": "pixelrnn.models.pixelcnn",
    "RowLSTM": "pixelrnn.models.row_lstm",
    "DiagonalBiLSTM": "pixelrnn.models.diagonal_bilstm",
    "GatedPixelCNN": "pixelrnn.models.gated_pixelcnn",
    "bits_per_dim": "pixelrnn.likelihood.units",
    "load_model": "pixelrnn.training.load",
    "train": "pixelrnn.cli.train",
    "compress": "pixelrnn.compression.codec",
    "decompress": "pixelrnn.compression.codec",
}

__all__ = ["__version__", *_LAZY]


def __dir__() -> list[str]:
    """The public names, those that are not imported yet included."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import the public face on first use, so that `import pixelrnn` costs nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'pixelrnn' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
