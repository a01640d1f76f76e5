"""Where drawn images go: a picture and an array side by side, refused before anything is drawn."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelrnn import atomic
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.runs import record

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = (".png", ".npy")
_GENERATOR_BYTES = 5_056
"""State of one random generator; every image has its own."""


def target(run: str, out: str | None, name: str) -> Path:
    """The path, without ending, of a picture and its array; its folder is made.

    Args:
        run: run folder or checkpoint file.
        out: what the user gave, with .png, .npy or no ending; None: `name` in the run's samples.
        name: of the file, without ending.

    Raises:
        ConfigError: `out` is a folder.
        RunError: the folder cannot be made or written.
    """
    path = Path(out) if out else record.folder_of(Path(run)) / "samples" / name
    if path.is_dir():
        raise ConfigError(f"out={out}: is a folder; give a path in it, such as {path / 'images'}")
    if path.suffix in ENDINGS:
        path = path.with_suffix("")
    make_folder(path.parent)
    return path


def make_folder(folder: Path) -> None:
    """Make the folder of what will be written.

    Raises:
        RunError: it cannot be made or written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")


def check_memory(n: int, image_shape: tuple[int, int, int]) -> None:
    """Refuse more images than the memory of this machine holds.

    Raises:
        ConfigError: names the number that would fit.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    colors, rows, columns = image_shape
    most = memory // (_GENERATOR_BYTES + 2 * colors * rows * columns)
    if n > most:
        raise ConfigError(
            f"n={n}: this machine's memory holds about {most:,} images; draw them by several "
            "commands, each with a seed and an `out` of its own"
        )


def save(
    chunks: "Iterable[Tensor]",
    levels: int,
    path: Path,
    columns: int | None = None,
    labels: "Tensor | None" = None,
) -> Path:
    """Write all images, or those finished when the drawing breaks off, as `path`.npy and .png.

    Args:
        chunks: uint8 (B, C, H, W) each.
        levels: values of a sub-pixel.
        path: without ending.
        columns: of the picture; None: about a square.
        labels: classes of all images, int64 (N,); those of the finished ones are written as
            `path`-labels.npy.

    Returns:
        Path of the picture.

    Raises:
        RunError: the disc is full or cannot be written.
    """
    finished: list[Tensor] = []
    try:
        for images in chunks:
            finished.append(images.cpu())
    except BaseException:
        if finished:
            said = _write(finished, levels, path, columns, labels)
            print(f"broken off: only {said}", file=sys.stderr)
        raise
    print(_write(finished, levels, path, columns, labels))
    return path.with_name(f"{path.name}.png")


def save_picture(images: "Tensor", levels: int, path: Path, columns: int | None = None) -> Path:
    """Write a grid as `path`.png."""
    from pixelrnn import pictures

    picture = path.with_name(f"{path.name}.png")
    with explained(picture), atomic.replacing(picture, "wb") as file:
        pictures.grid(images, levels, columns).save(file, format="png")
    return picture


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the system refuses becomes a `RunError` of one line that names the path."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def _write(
    finished: "list[Tensor]",
    levels: int,
    path: Path,
    columns: int | None,
    labels: "Tensor | None",
) -> str:
    """Write picture and arrays; returns what to tell the user."""
    import torch

    images = torch.cat(finished)
    _write_array(path.with_name(f"{path.name}.npy"), images)
    if labels is not None:
        _write_array(path.with_name(f"{path.name}-labels.npy"), labels[: len(images)])
    picture = save_picture(images, levels, path, columns)
    beside = " and .npy" if labels is None else ", .npy and -labels.npy"
    return f"{len(images)} images: {picture}{beside}"


def _write_array(path: Path, values: "Tensor") -> None:
    with explained(path), atomic.replacing(path, "wb") as file:
        np.save(file, values.numpy())
