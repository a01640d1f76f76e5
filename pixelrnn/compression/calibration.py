"""Calibration: of all levels that were given a probability near p, a share p should occur."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn import atomic

_FINE = [0.0, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03]
EDGES = np.array([*_FINE, *np.arange(1, 10) / 10, 0.97, 0.99, 0.999, 1 + 1e-6])
"""Of the bins, finer towards 0 and 1."""

_NUMBERS = 2**22  # probabilities that are counted at once; of each there are six in float64


@dataclass(frozen=True)
class Calibration:
    """Predictions in bins by their probability.

    Attributes:
        count: predictions in each bin (a level of a sub-pixel is one).
        expected: sum of their probabilities.
        variance: sum of p (1 - p), the variance of the hits if the model is right.
        hits: how many came true.
    """

    count: np.ndarray
    expected: np.ndarray
    variance: np.ndarray
    hits: np.ndarray

    def plot(self, path: Path, title: str) -> None:
        """Draw frequency against predicted probability, with two standard errors, as a PNG."""
        used = self.count > 0
        count = self.count[used]
        figure = Figure(figsize=(5.5, 5.5), layout="constrained")
        ax = figure.subplots()
        low = 1e-6
        ax.plot([low, 1], [low, 1], color="0.6", label="calibrated")
        predicted, found = self.expected[used] / count, self.hits[used] / count
        error = 2 * np.sqrt(self.variance[used]) / count
        ax.errorbar(
            np.maximum(predicted, low),
            np.maximum(found, low),
            yerr=np.stack([np.minimum(error, np.maximum(found, low) * 0.999), error]),
            fmt="o",
            color="#0072B2",
            capsize=3,
            label="model, two standard errors",
        )
        ax.set(xscale="log", yscale="log", xlabel="predicted probability", ylabel="frequency")
        ax.set_title(title, fontsize=9)
        ax.grid(alpha=0.3)
        ax.legend(loc="upper left", fontsize=8)
        with atomic.replacing(path, "wb") as file:
            figure.savefig(file, format="png", dpi=110)


def collected(batches: Iterable[tuple[Tensor, Tensor]]) -> Calibration:
    """Count predictions.

    Args:
        batches: of log-probabilities (B, C, levels, H, W) and the images (B, C, H, W).
    """
    edges = torch.from_numpy(EDGES)
    bins = len(EDGES) - 1
    sums = torch.zeros(4, bins, dtype=torch.float64)
    for log_probs, images in _in_rows(batches):
        p = log_probs.detach().cpu().double().exp().flatten()
        true = torch.zeros_like(log_probs, device="cpu", dtype=torch.float64)
        true.scatter_(2, images.cpu().long()[:, :, None], 1.0)
        place = (torch.bucketize(p, edges, right=True) - 1).clamp(0, bins - 1)
        for row, weights in enumerate((torch.ones_like(p), p, p * (1 - p), true.flatten())):
            sums[row] += torch.bincount(place, weights, minlength=bins)
    return Calibration(*sums.numpy())


def _in_rows(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The same batches, some rows of the images at a time if they have many numbers."""
    for log_probs, images in batches:
        of_row = max(1, log_probs.numel() // images.shape[2])
        rows = max(1, _NUMBERS // of_row)
        yield from zip(log_probs.split(rows, dim=3), images.split(rows, dim=2), strict=True)
