"""What a simple predictor achieves: `python -m benchmarks.baselines [patches|digits]`.

Patches: the median edge detector (MED) of lossless coders on colour differences, its residuals
coded by one histogram for each channel, fitted on the training split. Digits: a table of the
context (position, left and upper neighbour in five steps). Both in bits/dim, on the splits of
`data/`.
"""

import argparse

import numpy as np

from pixelrnn.data import Digits, Patches
from pixelrnn.data.base import SPLITS, PixelDataModule


def median_edge(planes: np.ndarray) -> np.ndarray:
    """MED prediction of every pixel from its left, upper and upper left neighbour: (N, H, W)."""
    padded = np.pad(planes, ((0, 0), (1, 0), (1, 0)), mode="edge")
    left, above, corner = padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1]
    left = left.copy()
    left[:, :, 0] = above[:, :, 0]  # the first column has nothing to its left
    smooth = left + above - corner
    low, high = np.minimum(left, above), np.maximum(left, above)
    prediction = np.clip(smooth, low, high)
    prediction[:, 0, 0] = 0
    prediction[:, 0, 1:] = planes[:, 0, :-1]
    return prediction


def residuals(images: np.ndarray) -> np.ndarray:
    """Residuals modulo 256 of R, G - R and B - G: (N, 3, H, W) -> (3, N * H * W)."""
    planes = images.astype(np.int64)
    rows = []
    for color in range(3):
        base = planes[:, color - 1] if color else np.zeros_like(planes[:, 0])
        difference = planes[:, color] - base
        rows.append(((difference - median_edge(difference)) % 256).ravel())
    return np.stack(rows)


def med_bits(data: PixelDataModule) -> dict[str, float]:
    """Bits/dim of MED with histograms fitted on the training split."""
    train = residuals(data.images("train"))
    counts = np.stack([np.bincount(row, minlength=256) for row in train]) + 1.0
    bits = -np.log2(counts / counts.sum(1, keepdims=True))
    return {
        split: float(
            np.mean([bits[color][row] for color, row in enumerate(residuals(data.images(split)))])
        )
        for split in SPLITS
    }


def table_bits(data: PixelDataModule) -> dict[str, float]:
    """Bits/dim of a table over position and quantised neighbours, fitted on the training split."""

    def contexts(images: np.ndarray) -> np.ndarray:
        grey = images[:, 0].astype(np.int64)
        steps = -(-grey // 4)  # 0; 1-4; 5-8; 9-12; 13-16
        left = np.pad(steps, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
        above = np.pad(steps, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        position = np.arange(64).reshape(8, 8)[None]
        return (position * 5 + left) * 5 + above

    images = data.images("train")
    counts = np.full((64 * 25, data.levels), 0.1)
    np.add.at(counts, (contexts(images), images[:, 0]), 1)
    bits = -np.log2(counts / counts.sum(1, keepdims=True))
    return {
        split: float(bits[contexts(data.images(split)), data.images(split)[:, 0]].mean())
        for split in SPLITS
    }


def main() -> None:
    """Print the table of one data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="patches", choices=("patches", "digits"))
    parser.add_argument("--size", type=int, default=16)
    arguments = parser.parse_args()
    if arguments.data == "patches":
        found = med_bits(Patches(size=arguments.size))
    else:
        found = table_bits(Digits())
    print("  ".join(f"{split} {bits:.3f}" for split, bits in found.items()), "bits/dim")


if __name__ == "__main__":
    main()
