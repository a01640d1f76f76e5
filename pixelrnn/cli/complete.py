"""`pixelrnn complete run=runs/... occlude=bottom`: hidden parts of images, drawn anew (figure 9).

Each row of the picture: the image with its hidden part black, the draws, the original.
"""

from pathlib import Path
from typing import Literal

import torch
from omegaconf import DictConfig
from torch import Tensor

from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli import compose, process
from pixelrnn.cli.sample import Temperature, save
from pixelrnn.data.base import Split
from pixelrnn.errors import ConfigError
from pixelrnn.generation.sources import for_images
from pixelrnn.training import load

Occlusion = Literal["bottom", "right", "centre", "all"]


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    compose.run("complete", task, argv)


def task(config: DictConfig) -> None:
    """One job."""
    compose.call(complete, config)


def complete(
    *,
    run: str,
    occlude: Occlusion,
    split: Split,
    n: Positive,
    draws: Positive,
    temperature: Temperature,
    seed: Seed,
    out: str | None,
    accelerator: str,
    threads: Positive | None,
    paths: dict[str, str],
) -> Path:
    """Complete the first images of a split.

    Args:
        run: run folder.
        occlude: which part is hidden. A model knows only what comes before in raster order: known
            pixels below or right of a hidden one stay, but do not steer its draw.
        split: where the images come from.
        n: number of images.
        draws: completions of each.
        temperature: below 1 sharpens; 1 is exact.
        seed: of the draws.
        out: path without ending; None: in the run's samples folder.
        accelerator: torch device to draw on.
        threads: None: what suits the model.
        paths: roots of runs and data.

    Returns:
        Path of the picture; the array, uint8 (n * (draws + 2), C, H, W), lies beside it as .npy.
    """
    process.set_up(threads)
    model = load.load_model(run).to(accelerator)
    images = torch.from_numpy(load.load_data(run).images(split)[:n].copy()).to(accelerator)
    if len(images) < n:
        raise ConfigError(f"n={n}: the {split} split has {len(images)} images")
    known = occlusion(occlude, *model.image_shape[1:]).to(accelerator)
    repeated = images.repeat_interleave(draws, dim=0)
    completed = model.complete_chunks(
        repeated, known, for_images(seed, n * draws), temperature, batch_size=draws, progress=True
    )
    rows = (
        torch.cat([image[None] * known, drawn, image[None]])
        for image, drawn in zip(images, completed, strict=True)
    )
    target = Path(out) if out else Path(run) / "samples" / f"complete-{occlude}-seed{seed}"
    return save(rows, model.levels, target, columns=draws + 2)


def occlusion(which: Occlusion, height: int, width: int) -> Tensor:
    """Known pixels: bool (H, W)."""
    row = torch.arange(height)[:, None].expand(height, width)
    column = torch.arange(width)[None, :].expand(height, width)
    hidden = {
        "bottom": row >= height // 2,
        "right": column >= width // 2,
        "centre": (
            (row >= height // 4)
            & (row < height - height // 4)
            & (column >= width // 4)
            & (column < width - width // 4)
        ),
        "all": row >= 0,
    }
    return ~hidden[which]
