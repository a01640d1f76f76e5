"""Pictures and arrays as images of a model, and back, without loss.

A picture's shades stand for levels as in `pictures.grid`: level v of L is shade round(255 v / (L -
1)). So a picture that was decoded equals the one that was coded, pixel by pixel.
"""

import glob
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pixelrnn import atomic, symbols
from pixelrnn.compression.codec import Take
from pixelrnn.errors import DataError

_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Images:
    """Images that are read when they are needed."""

    count: int
    take: Take


def opened(names: list[str], image_shape: tuple[int, int, int], levels: int) -> Images:
    """The images of one array, or of folders, patterns and files of PNG pictures.

    Args:
        names: one `.npy` of integers (N, C, H, W), or (N, H, W) of one colour; or pictures in the
            order given, those of a folder or pattern by name, which have 256 levels at most.
        image_shape: (C, H, W) that each must have.
        levels: values of a sub-pixel.

    Raises:
        DataError: there are none, or they are not such images; says which.
    """
    arrays = [name for name in names if name.endswith(".npy")]
    if not arrays:
        if levels > 256:
            raise DataError(
                f"in={' '.join(names)}: pictures have 256 levels at most, and the model has "
                f"{levels}: give an array .npy of integers (N, C, H, W)"
            )
        paths = [path for name in names for path in _pictures(name)]
        if not paths:
            raise DataError(f"in={' '.join(names)}: no PNG pictures there")
        take = _reader(paths, image_shape, levels)
        return Images(len(paths), take)
    if len(names) > 1:
        raise DataError(f"in={arrays[0]}: an array must be given alone")
    array = _array(Path(arrays[0]), image_shape, levels)
    return Images(len(array), lambda part: _of_array(array[part], levels))


def labels(path: str | None) -> Tensor | None:
    """The labels of images: a `.npy` of integers (N,) -> int64 (N,).

    Raises:
        DataError: there is no such array.
    """
    if path is None:
        return None
    found = _loaded(Path(path))
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise DataError(f"{path}: expected integers (N,), got {found.dtype} {found.shape}")
    return torch.from_numpy(found.astype(np.int64))


def labels_beside(path: Path) -> Path:
    """Where the labels of an array or a folder of images lie: `x-labels.npy` beside `x.npy`."""
    return path.with_name(f"{path.name.removesuffix('.npy')}-labels.npy")


def write_array(
    path: Path, chunks: Iterable[Tensor], shape: tuple[int, ...], dtype: np.dtype
) -> None:
    """Write images as they come to a `.npy`, which is there only when all came.

    Args:
        path: of the array.
        chunks: integers (n, ...), which `dtype` can hold.
        shape: (N, ...) of all.
        dtype: of the array.
    """
    with atomic.replacing(path, "wb") as file:
        form = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, form)
        for images in chunks:
            file.write(images.numpy().astype(dtype, copy=False).tobytes())


def write_pictures(folder: Path, chunks: Iterable[Tensor], levels: int) -> None:
    """Write images as they come to a folder of PNG pictures, which is there only when all came.

    Args:
        folder: must not exist, or be empty.
        chunks: uint8 (n, C, H, W).
        levels: values of a sub-pixel.

    Raises:
        DataError: there is something already, or pictures cannot have so many colours.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"out={folder}: exists already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = atomic.unfinished_name(folder)
    unfinished.mkdir()
    shades = _shades(levels)
    try:
        count = 0
        for images in chunks:
            for image in images.numpy():
                picture = shades[image].transpose(1, 2, 0)
                if picture.shape[2] not in _MODES:
                    raise DataError(f"pictures have 1 or 3 colours, not {picture.shape[2]}")
                Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(
                    unfinished / f"{count:06}.png"
                )
                count += 1
        os.replace(unfinished, folder)  # an empty folder may be replaced
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _pictures(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return sorted(path.glob("*.png"))
    if path.exists():
        return [path]
    found = sorted(map(Path, glob.glob(name)))
    if not found:
        raise DataError(f"in={name}: no such file, folder or pattern")
    return found


def _reader(
    paths: list[Path], image_shape: tuple[int, int, int], levels: int
) -> Callable[[slice], Tensor]:
    level_of = np.full(256, -1)
    level_of[_shades(levels)] = np.arange(levels)

    def take(part: slice) -> Tensor:
        images = [_picture(path, image_shape, level_of) for path in paths[part]]
        return torch.from_numpy(np.stack(images))

    return take


def _picture(path: Path, image_shape: tuple[int, int, int], level_of: np.ndarray) -> np.ndarray:
    """One picture as uint8 (C, H, W)."""
    colors, height, width = image_shape
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            mode = "L" if picture.mode == "1" else picture.mode
            if mode != _MODES.get(colors) or picture.size != (width, height):
                raise DataError(
                    f"{path}: {picture.mode} of {picture.size[1]} rows and {picture.size[0]} "
                    f"columns, but the model takes {_MODES.get(colors, f'{colors} colours')} "
                    f"of {height} rows and {width} columns"
                )
            symbols = level_of[np.asarray(picture.convert(mode))]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a PNG picture, or damaged ({error})") from error
    if symbols.min() < 0:
        raise DataError(
            f"{path}: has shades that are none of the model's {int(level_of.max()) + 1} levels"
        )
    return symbols.reshape(height, width, colors).transpose(2, 0, 1).astype(np.uint8)


def _array(path: Path, image_shape: tuple[int, int, int], levels: int) -> np.ndarray:
    found = _loaded(path)
    if found.ndim == 3 and image_shape[0] == 1:
        found = found[:, None]
    if found.dtype.kind not in "iu" or found.ndim != 4 or found.shape[1:] != image_shape:
        expected = ", ".join(map(str, image_shape))
        raise DataError(
            f"{path}: expected integers (N, {expected}), got {found.dtype} {found.shape}"
        )
    for start in range(0, len(found), 4096):
        block = found[start : start + 4096]
        if block.max() >= levels or block.min() < 0:
            raise DataError(f"{path}: holds values that are not below the model's {levels} levels")
    return found


def _of_array(images: np.ndarray, levels: int) -> Tensor:
    return symbols.tensor(images.astype(symbols.stored(levels)))


def _loaded(path: Path) -> np.ndarray:
    """An array that stays on the disc."""
    try:
        found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not an array of numbers ({error})") from error
    return found


def _shades(levels: int) -> np.ndarray:
    """Shade of each level: uint8 (levels,)."""
    return (np.arange(levels) * (255 / (levels - 1))).round().astype(np.uint8)
