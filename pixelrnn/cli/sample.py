"""`pixelrnn sample run=runs/... n=64`: exact samples, as a picture and as an array."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pixelrnn.arguments import Accelerator, Positive, Seed, Temperature
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record

if TYPE_CHECKING:
    from torch import Tensor


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(sample, argv)


def sample(
    *,
    run: str,
    n: Positive | None = None,
    label: str | None = None,
    batch_size: Positive = 64,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
    grow: bool = False,
    out: str | None = None,
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> Path:
    """Draw images from a trained model; image i depends on the seed, on i and on its class alone.

    Args:
        run: run folder, or a checkpoint file.
        n: number of images, of each class that is given; null: 64, or 8 of each of several classes.
        label: of a class-conditional model: the name or number of a class, several with commas
            between, or "each"; the picture has a row for each.
        batch_size: images drawn together; it does not change them.
        temperature: below 1 sharpens the distributions; 1 draws from the model.
        seed: seed of the draws.
        grow: rewrite the picture after every row, to watch it grow; codes have no picture.
        out: path of the picture and the array; null: in the run's folder of samples.
        accelerator: where to compute.
        threads: of the CPU; null: what suits the model.

    Returns:
        Path of the picture; the array, uint8 (n, C, H, W), lies beside it as .npy, and the classes
        of its images, int64 (n,), as -labels.npy. Of codes, which are no pictures, there is the
        array alone, uint16 where there are more than 256 levels.

    Raises:
        RunError: there is no such run, it is damaged, or `out` cannot be written.
        ConfigError: this machine has no such accelerator, or too little space for `n` images;
            or there is no such class, or none is given where it must be.
    """
    record.require(Path(run))

    import torch

    from pixelrnn.cli import class_labels, outputs
    from pixelrnn.generation.sources import ImageGenerators, draws
    from pixelrnn.training import accelerators, load, process

    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run).to(device)
    classes = class_labels.chosen(label, model)
    each = n or (64 if classes is None or len(classes) == 1 else 8)
    total = each * len(classes or [0])
    outputs.check_space(total, model, Path(out or run))
    labels = None if classes is None else torch.tensor(classes).repeat_interleave(each)
    columns = each if classes and len(classes) > 1 else None
    suffix = "" if label is None else f"-label-{label.replace('/', '_')[:40]}"
    target = outputs.target(run, out, f"sample-n{each}-seed{seed}-t{temperature:g}{suffix}")

    def show_row(images: "Tensor", row: int) -> None:
        outputs.save_picture(images, model.levels, target, columns)

    chunks = model.walk(
        draws(total, ImageGenerators(seed, total), temperature),
        total,
        None if labels is None else labels.to(device),
        batch_size=batch_size,
        progress=sys.stderr.isatty(),
        on_row=show_row if grow and model.pictured else None,
    )
    return outputs.save(chunks, model, target, columns, labels)
