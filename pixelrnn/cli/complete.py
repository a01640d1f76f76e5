"""`pixelrnn complete run=runs/... occlude=bottom`: hidden parts of images, drawn anew (figure 9).

Each row of the picture: the image with its hidden part black, the draws, the original.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pixelrnn.arguments import Accelerator, Positive, Seed, Split, Temperature
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record

if TYPE_CHECKING:
    from torch import Tensor

    from pixelrnn.data.base import PixelDataModule

Occlusion = Literal["bottom", "right", "centre", "all"]

_BATCH = 64
"""Images drawn together; it does not change them."""


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(complete, argv)


def complete(
    *,
    run: str,
    occlude: Occlusion = "bottom",
    split: Split = "test",
    n: Positive = 8,
    draws: Positive = 4,
    label: str | None = None,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
    out: str | None = None,
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> Path:
    """Complete the first images of a split: hide a part of each and draw it anew.

    Args:
        run: run folder, or a checkpoint file in one.
        occlude: which part is hidden. A model knows only what comes before in raster order: known
            pixels below or right of a hidden one stay, but do not steer its draw.
        split: where the images come from.
        n: number of images.
        draws: completions of each, under each class that is given.
        label: of a class-conditional model: complete under this class (a name or a number; several
            with commas between; "each"); null: under the image's own.
        temperature: below 1 sharpens the distributions; 1 draws from the model.
        seed: seed of the draws.
        out: path of the picture and the array; null: in the run's folder of samples.
        accelerator: where to compute.
        threads: of the CPU; null: what suits the model.

    Returns:
        Path of the picture; the array, uint8 (n * (draws + 2), C, H, W), lies beside it as .npy. Of
        codes, which are no pictures, there is the array alone (`pixelrnn sample`).

    Raises:
        RunError: there is no such run, it is damaged, or `out` cannot be written.
        ConfigError: the split has fewer images, this machine no such accelerator, or the model no
            such class.
    """
    record.require(Path(run))

    import torch

    from pixelrnn.cli import class_labels, outputs
    from pixelrnn.generation.known import completions
    from pixelrnn.generation.sources import for_images
    from pixelrnn.training import accelerators, load, process

    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run).to(device)
    data = load.load_data(run)
    images = _first_images(data, split, n)
    labels = class_labels.of_split(model, data, split, n)
    under = 1  # classes that each image is completed under
    if label is not None:
        classes = torch.tensor(class_labels.chosen(label, model))
        labels, under = classes.repeat(n), len(classes)
    columns = under * draws + 2
    outputs.check_memory(n * columns, model)
    suffix = "" if label is None else f"-label-{label.replace('/', '_')[:40]}"
    name = f"complete-{occlude}-{split}-n{n}-draws{draws}-seed{seed}-t{temperature:g}{suffix}"
    target = outputs.target(run, out, name)
    known = occlusion(occlude, *model.image_shape[1:])
    source_of = completions(
        images.repeat_interleave(under, dim=0).to(device),
        known.to(device),
        for_images(seed, n * under * draws),
        temperature,
        draws,
    )
    completed = model.walk(
        source_of,
        n * under * draws,
        None if labels is None else labels.repeat_interleave(draws).to(device),
        batch_size=_BATCH,
        progress=sys.stderr.isatty(),
    )
    rows = (
        torch.cat([image[None] * known, drawn, image[None]])
        for image, drawn in zip(images, _regrouped(completed, under * draws), strict=True)
    )
    return outputs.save(rows, model, target, columns=columns)


def _first_images(data: "PixelDataModule", split: Split, n: int) -> "Tensor":
    """The first n images of a split, uint8 (n, C, H, W).

    Raises:
        ConfigError: the split has fewer.
    """
    from pixelrnn import symbols
    from pixelrnn.errors import ConfigError

    images = data.images(split)
    if len(images) < n:
        raise ConfigError(f"n={n}: the {split} split has {len(images)} images")
    return symbols.tensor(images[:n].copy())


def _regrouped(chunks: "Iterator[Tensor]", size: int) -> "Iterator[Tensor]":
    """The same images in groups of `size`; a group is given out as soon as it is whole."""
    import torch

    waiting: Tensor | None = None
    for chunk in chunks:
        waiting = chunk.cpu() if waiting is None else torch.cat([waiting, chunk.cpu()])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]


def occlusion(which: Occlusion, height: int, width: int) -> "Tensor":
    """Known pixels: bool (H, W)."""
    import torch

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
