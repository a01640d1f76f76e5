"""Images as arrays: .npy and .npz files. They are mapped or read array by array, never unpickled.

Axes: `N` images, `H W` image, `C` channels, 1 to 16 of them.
"""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from pixelrnn.arguments import Split
from pixelrnn.data.disk import explained
from pixelrnn.data.own.shares import Side
from pixelrnn.errors import DataError

Layout = Literal["NHWC", "NCHW", "NHW"]

ENDINGS = (".npy", ".npz")
_MOST_CHANNELS = 16
_PICTURES = (1, 3)
"""Numbers of channels that decide which axis is meant."""
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_POOL = ("images", "x", "data", "arr_0")
_SPLITS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("test",)}
_SPLITS["val"] = ("val", "valid", "validation")


class ArrayImages(NamedTuple):
    """An array of images in a file, known by its header.

    Attributes:
        name: of the array in an .npz; "" in an .npy.
        part: the split that its name says; "" if it says none.
        layout: its axes.
        shape: (N, H, W, C).
        labels: name of the array of labels beside it; "" if there is none.
    """

    name: str
    part: Side
    layout: Layout
    shape: tuple[int, int, int, int]
    labels: str


def is_array(path: Path) -> bool:
    """Whether a path names a file of arrays."""
    return path.suffix.lower() in ENDINGS


def found(path: Path, layout: Layout | None) -> list[ArrayImages]:
    """The arrays of images in a file; only headers are read.

    Args:
        path: an .npy, or an .npz whose arrays are called after their split (`train`,
            `train_images`, `images_train`, `x_train`, likewise `val` and `test`), or in which one
            is called `images`, `x` or `data` or is the only one; labels are called likewise
            (`train_labels`, `y_train`, `labels`, `y`).
        layout: the axes of all of them; None: seen by their lengths.

    Raises:
        DataError: there are none, they are no images, or the axes can be read in two ways.
    """
    with _explained(path):
        headers = _headers(path)
    arrays = []
    for name, part, labels in _names(path, headers):
        title = f"{path}: {name}" if name else str(path)
        shape, dtype = headers[name]
        if dtype not in (np.uint8, np.bool_):
            raise DataError(
                f"{title}: expected shades of uint8, found {dtype} {shape}; for integers that are "
                "no shades use data=codes"
            )
        axes = layout or _layout(title, shape)
        arrays.append(ArrayImages(name, part, axes, _shape(title, shape, axes), labels))
    return arrays


def images(path: Path, array: ArrayImages) -> np.ndarray:
    """The images of an array: uint8 (N, H, W, C), mapped where it can be; False is 0, True 255.

    Raises:
        DataError: the file is damaged.
    """
    whole = _loaded(path, array.name)
    if array.layout == "NCHW":
        whole = whole.transpose(0, 2, 3, 1)
    whole = whole.reshape(array.shape)
    return np.where(whole, 255, 0).astype(np.uint8) if whole.dtype == np.bool_ else whole


def labels(path: Path, array: ArrayImages) -> np.ndarray:
    """The labels that lie beside an array: int64 (N,).

    Raises:
        DataError: there are none, or not one for each image.
    """
    if not array.labels:
        raise DataError(
            f"{path}: no labels beside the images; only an .npz can hold them, as labels, "
            "train_labels or y_train: set data.classes=null"
        )
    given, count = _loaded(path, array.labels), array.shape[0]
    one_each = given.size == count == (len(given) if given.ndim else 1)
    if given.dtype.kind not in "iu" or not one_each or given.min() < 0:
        raise DataError(
            f"{path}: {array.labels}: expected a whole number from 0 for each of the "
            f"{count:,} images, found {given.dtype} {given.shape}"
        )
    return given.reshape(count).astype(np.int64)


def _layout(title: str, shape: tuple[int, ...]) -> Layout:
    """The axes that the lengths tell.

    Raises:
        DataError: they tell none, or two.
    """
    if len(shape) == 3 and shape[-1] not in (3, 4):
        return "NHW"
    fitting: dict[Layout, int] = {}
    if len(shape) == 4:
        channels: dict[Layout, int] = {"NHWC": shape[3], "NCHW": shape[1]}
        fitting = {axes: count for axes, count in channels.items() if 1 <= count <= _MOST_CHANNELS}
    as_pictures = [axes for axes, count in fitting.items() if count in _PICTURES]
    if len(fitting) == 1 or len(as_pictures) == 1:
        return (as_pictures or list(fitting))[0]
    if fitting or len(shape) == 3:
        raise DataError(
            f"{title}: {shape} can be read in two ways; say which with data.layout=NHWC, NCHW or "
            "NHW (N images, H rows, W columns, C channels)"
        )
    raise DataError(
        f"{title}: expected images (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to "
        f"{_MOST_CHANNELS} channels, found {shape}"
    )


def _shape(title: str, shape: tuple[int, ...], layout: Layout) -> tuple[int, int, int, int]:
    """(N, H, W, C) of an array of a layout.

    Raises:
        DataError: it cannot have this layout, or is empty.
    """
    if len(shape) != len(layout):
        raise DataError(f"{title}: {shape} has not the axes data.layout={layout}")
    lengths = dict(zip(layout, shape, strict=True))
    channels = lengths.get("C", 1)
    if channels > _MOST_CHANNELS or not math.prod(shape):
        raise DataError(
            f"{title}: expected images with 1 to {_MOST_CHANNELS} channels, found {shape} as "
            f"{layout}"
        )
    return lengths["N"], lengths["H"], lengths["W"], channels


def _names(
    path: Path, headers: dict[str, tuple[tuple[int, ...], np.dtype]]
) -> list[tuple[str, Side, str]]:
    """(array, split or "", labels or "") of each array of images, found by their names."""
    if list(headers) == [""]:
        return [("", "", "")]
    chosen: list[tuple[str, Side, str]] = []
    for part, words in _SPLITS.items():
        named = [f"{w}_images" for w in words] + [f"images_{w}" for w in words]
        named += [f"x_{w}" for w in words] + list(words)
        beside = [f"{w}_labels" for w in words] + [f"labels_{w}" for w in words]
        beside += [f"y_{w}" for w in words]
        images_of = next((name for name in named if name in headers), None)
        if images_of is not None:
            chosen.append((images_of, part, next((n for n in beside if n in headers), "")))
    if chosen and chosen[0][1] == "train":
        return chosen
    pool = [name for name in _POOL if name in headers]
    pool += [name for name, (shape, _) in headers.items() if len(shape) in (3, 4)]
    if not pool or (pool[0] not in _POOL and len(pool) > 1):
        raise DataError(
            f"{path}: holds {', '.join(headers) or 'no arrays'}; call the array of images "
            "`images`, or those of the splits `train`, `val` and `test`"
        )
    return [(pool[0], "", next((name for name in ("labels", "y") if name in headers), ""))]


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of every array of a file."""
    if path.suffix.lower() == ".npy":
        with open(path, "rb") as file:
            return {"": _header(file)}
    headers = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                name = member.filename.removesuffix(".npy")
                headers[name] = _header(file)
            shape, dtype = headers[name]
            if member.file_size < math.prod(shape) * dtype.itemsize:
                raise ValueError(f"{name} claims more values than it holds")
    return headers


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)  # type: ignore[arg-type]
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)  # type: ignore[arg-type]
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)  # type: ignore[arg-type]
    return shape, dtype


def _loaded(path: Path, name: str) -> np.ndarray:
    """An array: mapped if it is a file of its own."""
    with _explained(path):
        array: np.ndarray
        if not name:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with np.load(path, allow_pickle=False) as arrays:
                array = arrays[name]
    return array


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with explained(path):
            yield
    except (*_BROKEN, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: expected a file of NumPy arrays ({reason})") from error
