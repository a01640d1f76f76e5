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
    n: Positive = 64,
    batch_size: Positive = 64,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
    grow: bool = False,
    out: str | None = None,
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> Path:
    """Draw images from a trained model; image i depends on the seed and on i alone.

    Args:
        run: run folder, or a checkpoint file.
        n: number of images.
        batch_size: images drawn together; it does not change them.
        temperature: below 1 sharpens the distributions; 1 draws from the model.
        seed: seed of the draws.
        grow: rewrite the picture after every row, to watch it grow.
        out: path of the picture and the array; null: in the run's folder of samples.
        accelerator: where to compute.
        threads: of the CPU; null: what suits the model.

    Returns:
        Path of the picture; the array, uint8 (n, C, H, W), lies beside it as .npy.

    Raises:
        RunError: there is no such run, it is damaged, or `out` cannot be written.
        ConfigError: this machine has no such accelerator, or too little memory for `n` images.
    """
    record.require(Path(run))

    from pixelrnn.cli import outputs
    from pixelrnn.generation.sources import draws, for_images
    from pixelrnn.training import accelerators, load, process

    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run).to(device)
    outputs.check_memory(n, model.image_shape)
    target = outputs.target(run, out, f"sample-n{n}-seed{seed}-t{temperature:g}")

    def show_row(images: "Tensor", row: int) -> None:
        outputs.save_picture(images, model.levels, target)

    chunks = model.walk(
        draws(n, for_images(seed, n), temperature),
        n,
        batch_size=batch_size,
        progress=sys.stderr.isatty(),
        on_row=show_row if grow else None,
    )
    return outputs.save(chunks, model.levels, target)
