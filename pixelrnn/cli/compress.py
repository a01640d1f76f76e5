"""`pixelrnn compress run=runs/... in=photos out=photos.prnn`: images to a file, without loss."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pixelrnn.arguments import Accelerator, Positive
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record

BatchSize = Annotated[int, Field(ge=1, le=1024)]


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(compress, argv, first="in_")


def compress(
    *,
    run: str,
    in_: list[str],
    out: str,
    labels: str | None = None,
    mode: Literal["fast", "portable"] = "fast",
    batch_size: BatchSize = 256,
    verify: bool = True,
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> Path:
    """Code images without loss, in the bits that the model's likelihood says.

    The file is decoded by the same run, on a machine that rounds as this one does (or on any, with
    mode=portable): another is refused, and no wrong pixel is ever written.

    Args:
        run: run folder, or a checkpoint file.
        in_: a folder of PNG pictures, a pattern such as "photos/*.png", several pictures, or one
            array .npy of integers (N, C, H, W).
        out: the file to write, such as images.prnn.
        labels: of a class-conditional model: an array .npy of integers (N,), or the name or number
            of one class for all images, or "likeliest", which tries all and takes the one that
            costs least; null: x-labels.npy, if in=x.npy and it is there.
        mode: portable files decode on every CPU with the same weights; they take longer to code.
        batch_size: images coded together, and decoded together later: more are faster, and each
            takes up to 2 MB.
        verify: decode what was coded and compare, which takes as long again.
        accelerator: where to compute; decode with the same.
        threads: of the CPU; null: what suits the model.

    Returns:
        Path of the file.

    Raises:
        RunError: there is no such run, it is damaged, or `out` cannot be written.
        DataError: the images are not what the model takes.
        ConfigError: this machine has no such accelerator, or labels are wrong or missing.
        CompressionError: the model can only be evaluated on whole images.
    """
    record.require(Path(run))

    from pixelrnn import atomic
    from pixelrnn.cli import file_labels, outputs
    from pixelrnn.compression import codec, image_files
    from pixelrnn.errors import ConfigError
    from pixelrnn.training import accelerators, load, process

    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run).to(device)
    images = image_files.opened(in_, model.image_shape, model.levels)
    path = Path(out)
    if path.is_dir():
        raise ConfigError(f"out={out}: is a folder; give a path in it, such as {path / 'x.prnn'}")
    given = file_labels.of_files(labels, model, in_, images, batch_size)
    with outputs.explained(path), atomic.replacing(path, "wb") as file:
        report = codec.write(
            model,
            images.count,
            images.take,
            file,
            labels=None if given is None else given.to(device),
            mode=mode,
            batch_size=batch_size,
            verify=verify,
            progress=sys.stderr.isatty(),
        )
    print(f"{path}: {report.line(model.image_shape)}")
    return path
