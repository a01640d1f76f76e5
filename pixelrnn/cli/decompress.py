"""`pixelrnn decompress run=runs/... in=photos.prnn out=photos`: the images of a file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pixelrnn.arguments import Accelerator
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from pixelrnn.compression.streams import Decoded


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(decompress, argv, first="in_")


def decompress(
    *,
    run: str,
    in_: str,
    out: str,
    machine: Literal["same", "any"] = "same",
    accelerator: Accelerator = "cpu",
) -> Path:
    """Write the images of a file of `pixelrnn compress`, every pixel as it was.

    Args:
        run: run folder, or a checkpoint file: the one that coded them.
        in_: the file.
        out: a new folder of PNG pictures, or an array .npy of uint8 (N, C, H, W); of uint16 above
            256 levels, which no picture has. The labels of a class-conditional model, int64 (N,),
            come beside it as -labels.npy.
        machine: any tries on a machine that may round otherwise than the one that coded; a wrong
            pixel is still refused.
        accelerator: where to compute.

    Returns:
        Path of what was written.

    Raises:
        RunError: there is no such run, it is damaged, or `out` cannot be written.
        CompressionError: the file is damaged, or of another model or machine.
        ConfigError: this machine has no such accelerator.
    """
    record.require(Path(run))

    import numpy as np

    from pixelrnn import symbols
    from pixelrnn.cli import outputs
    from pixelrnn.compression import codec, container, image_files
    from pixelrnn.errors import CompressionError, ConfigError
    from pixelrnn.training import accelerators, load, process

    device = accelerators.device(accelerator)
    process.set_up(None)
    path = Path(out)
    try:
        with open(in_, "rb") as file:
            header = container.Reader(file).header
            file.seek(0)
            if header.levels > 256 and path.suffix != ".npy":
                raise ConfigError(
                    f"out={out}: the images have {header.levels} levels, and pictures 256 at most: "
                    "name an array, such as out=x.npy"
                )
            model = load.load_model(run).to(device)
            labels: list[Tensor] = []
            chunks = _images(
                codec.read(model, file, machine=machine, progress=sys.stderr.isatty()), labels
            )
            with outputs.explained(path):
                if path.suffix == ".npy":
                    shape = (header.count, *header.image_shape)
                    stored = symbols.stored(header.levels)
                    image_files.write_array(path, chunks, shape, stored)
                else:
                    image_files.write_pictures(path, chunks, header.levels)
                if labels:
                    beside = image_files.labels_beside(path)
                    image_files.write_array(beside, labels, (header.count,), np.dtype("<i8"))
    except CompressionError as error:
        raise CompressionError(f"{in_}: {error}") from error
    except OSError as error:
        raise CompressionError(f"{in_}: cannot be read ({error.strerror})") from error
    print(f"{header.count} images: {path}{f' and {beside}' if labels else ''}")
    return path


def _images(parts: "Iterable[Decoded]", labels: "list[Tensor]") -> "Iterator[Tensor]":
    """The images of all parts; their labels, if there are any, are appended to a list."""
    for part in parts:
        if part.labels is not None:
            labels.append(part.labels)
        yield part.images
