"""Where drawn images go: a picture and an array side by side, refused before anything is drawn."""

import contextlib
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from pixelrnn import atomic, symbols
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.runs import record

if TYPE_CHECKING:
    from torch import Tensor

    from pixelrnn.models.base import ImageDistribution

ENDINGS = (".png", ".npy")
PICTURED = 1024
"""At most so many images are shown in the picture of an array that is longer."""
_LABEL_BYTES = 8


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


def check_memory(n: int, model: "ImageDistribution") -> None:
    """Refuse more images of a model than the memory of this machine holds, with room for a copy.

    Raises:
        ConfigError: names the number that would fit.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = memory // (2 * math.prod(model.image_shape) * symbols.dtype(model.levels).itemsize)
    if n > most:
        raise ConfigError(
            f"n={n}: this machine's memory holds about {most:,} images; draw them by several "
            "commands, each with a seed and an `out` of its own"
        )


def check_space(n: int, model: "ImageDistribution", path: Path) -> None:
    """Refuse more images of a model than the disc holds, their classes included.

    Args:
        n: number of images.
        model: that makes them.
        path: where the array goes.

    Raises:
        ConfigError: names the number that would fit.
    """
    each = math.prod(model.image_shape) * symbols.stored(model.levels).itemsize + _LABEL_BYTES
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if n * each > free:
        raise ConfigError(
            f"n={n}: {folder} has space for {free // each:,} images; free some, "
            "or name another folder with out=..."
        )


def save(
    chunks: "Iterable[Tensor]",
    model: "ImageDistribution",
    path: Path,
    columns: int | None = None,
    labels: "Tensor | None" = None,
) -> Path:
    """Write all images, or those finished when the drawing breaks off, as `path`.npy and .png.

    Each batch goes into the file as it comes; the picture shows the first `PICTURED` images. There
    is none of images that are no pictures (`ImageDistribution.pictured`).

    Args:
        chunks: uint8 (B, C, H, W) each; int32 above 256 levels, of which uint16 is written.
        model: that makes them.
        path: without ending.
        columns: of the picture; None: about a square.
        labels: classes of all images, int64 (N,); those of the finished ones are written as
            `path`-labels.npy.

    Returns:
        Path of the picture, or of the array if there is none.

    Raises:
        RunError: the disc is full or cannot be written.
    """
    import torch

    array = path.with_name(f"{path.name}.npy")
    stopped: BaseException | None = None
    shown: list[Tensor] = []
    with explained(array), atomic.replacing(array, "wb") as file:
        stream = _Stream(file)
        try:
            for images in chunks:
                stream.append(symbols.array(images, model.levels))
                if model.pictured and sum(map(len, shown)) < PICTURED:
                    shown.append(images.cpu())
        except BaseException as error:
            if not stream.count:
                raise
            stopped = error  # what is finished is written all the same
        stream.finish()
    if labels is not None:
        _write_array(path.with_name(f"{path.name}-labels.npy"), labels[: stream.count])
    result = array
    if model.pictured:
        many = stream.count > PICTURED
        first = torch.cat(shown)[:PICTURED]
        result = save_picture(first, model.levels, path, None if many else columns)
    said = _said(stream.count, result, labels is not None)
    if stopped is not None:
        print(f"broken off: only {said}", file=sys.stderr)
        with explained(array):
            raise stopped
    print(said)
    return result


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


class _Stream:
    """Appends arrays to a file in NumPy's format, whose header says at last how many rows came."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.count = 0
        self._row: np.ndarray | None = None

    def append(self, rows: np.ndarray) -> None:
        """Write rows; all have the same shape and type."""
        if self._row is None:
            self._row = rows[:0]
            self._write_header()
        self.file.write(np.ascontiguousarray(rows).tobytes())
        self.count += len(rows)

    def finish(self) -> None:
        """Say in the header how many rows there are; it keeps its length."""
        self.file.seek(0)
        self._write_header()
        if self._row is not None:  # a row that was cut off goes
            size = math.prod(self._row.shape[1:]) * self._row.itemsize
            self.file.truncate(self.file.tell() + self.count * size)

    def _write_header(self) -> None:
        assert self._row is not None, "at least one array comes, though it may be empty"
        about = np.lib.format.header_data_from_array_1_0(self._row)
        about["shape"] = (self.count, *self._row.shape[1:])
        np.lib.format.write_array_header_1_0(self.file, about)


def _said(count: int, written: Path, labelled: bool) -> str:
    """What to tell the user: how many images there are, and where."""
    if written.suffix == ".npy":
        return f"{count} images: {written}{' and -labels.npy' if labelled else ''}"
    beside = ", .npy and -labels.npy" if labelled else " and .npy"
    of_first = f" (of the first {PICTURED:,})" if count > PICTURED else ""
    return f"{count} images: {written}{of_first}{beside}"


def _write_array(path: Path, values: "Tensor") -> None:
    with explained(path), atomic.replacing(path, "wb") as file:
        np.save(file, values.numpy())
