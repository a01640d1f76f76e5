"""`pixelrnn sample run=runs/... n=64`: exact samples, as a picture and as an array."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from omegaconf import DictConfig
from pydantic import Field
from torch import Tensor

from pixelrnn import atomic, pictures
from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli import compose, process
from pixelrnn.generation.sources import for_images
from pixelrnn.training import load

Temperature = Annotated[float, Field(gt=0)]


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    compose.run("sample", task, argv)


def task(config: DictConfig) -> None:
    """One job."""
    compose.call(sample, config)


def sample(
    *,
    run: str,
    n: Positive,
    batch_size: Positive,
    temperature: Temperature,
    seed: Seed,
    grow: bool,
    out: str | None,
    accelerator: str,
    threads: Positive | None,
    paths: dict[str, str],
) -> Path:
    """Draw images; every image has a generator of its own, seeded by (seed, index).

    Args:
        run: run folder or checkpoint file.
        n: number of images.
        batch_size: images drawn together.
        temperature: below 1 sharpens; 1 is exact.
        seed: of the draws.
        grow: rewrite the picture after every row, to watch it grow.
        out: path without ending; None: in the run's samples folder.
        accelerator: torch device to draw on.
        threads: None: what suits the model.
        paths: roots of runs and data.

    Returns:
        Path of the picture; the array, uint8 (n, C, H, W), lies beside it as .npy.
    """
    process.set_up(threads)
    model = load.load_model(run).to(accelerator)
    target = _target(run, out, f"sample-n{n}-seed{seed}-t{temperature:g}")
    chunks = model.sample_chunks(
        n,
        for_images(seed, n),
        temperature,
        batch_size=batch_size,
        progress=True,
        on_row=(lambda images, row: save_picture(images, model.levels, target)) if grow else None,
    )
    return save(chunks, model.levels, target)


def save(chunks: Iterable[Tensor], levels: int, target: Path, columns: int | None = None) -> Path:
    """Write what is finished as `target`.npy and .png, also when interrupted by Ctrl-C."""
    finished: list[Tensor] = []
    try:
        for images in chunks:
            finished.append(images.cpu())
    finally:
        if finished:
            images = torch.cat(finished)
            with atomic.replacing(target.with_name(target.name + ".npy"), "wb") as file:
                np.save(file, images.numpy())
            path = save_picture(images, levels, target, columns)
            print(f"{len(images)} images: {path} and .npy")
    return path


def save_picture(images: Tensor, levels: int, target: Path, columns: int | None = None) -> Path:
    """Write a grid as `target`.png."""
    path = target.with_name(target.name + ".png")
    with atomic.replacing(path, "wb") as file:
        pictures.grid(images, levels, columns).save(file, format="png")
    return path


def _target(run: str, out: str | None, name: str) -> Path:
    folder = Path(run) if Path(run).is_dir() else Path(run).parent.parent
    return Path(out) if out else folder / "samples" / name
