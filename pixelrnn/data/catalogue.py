"""All data sets by name, and what there is of them on disc."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.cifar10 import CIFAR10
from pixelrnn.data.digits import Digits
from pixelrnn.data.imagenet import DownsampledImageNet
from pixelrnn.data.ising import Ising
from pixelrnn.data.mesh import BlindSpotMesh, Mesh
from pixelrnn.data.mnist import MNIST
from pixelrnn.data.patches import Patches
from pixelrnn.data.published import StoredDataModule

State = Literal["needs no files", "ready", "raw files there", "incomplete", "not there"]

CATALOGUE: dict[str, Callable[[Path], PixelDataModule]] = {
    "digits": lambda root: Digits(),
    "patches": lambda root: Patches(),
    "mesh": lambda root: Mesh(),
    "blind_spot_mesh": lambda root: BlindSpotMesh(),
    "ising": lambda root: Ising(),
    "mnist_static": lambda root: MNIST(binarize="static", root=root),
    "mnist_grey": lambda root: MNIST(binarize="none", root=root),
    "cifar10": lambda root: CIFAR10(root=root),
    "imagenet32_oord": lambda root: DownsampledImageNet(version="imagenet32_oord", root=root),
    "imagenet64_oord": lambda root: DownsampledImageNet(version="imagenet64_oord", root=root),
    "imagenet32_box": lambda root: DownsampledImageNet(version="imagenet32_box", root=root),
    "imagenet64_box": lambda root: DownsampledImageNet(version="imagenet64_box", root=root),
}

ALIASES = {
    "mnist": "mnist_static",
    # these are made from the grey images when they are loaded
    "mnist_dynamic": "mnist_grey",
    "mnist_threshold": "mnist_grey",
}


def state(module: PixelDataModule) -> State:
    """What there is of a set on disc; lengths are looked at, contents are not."""
    if not isinstance(module, StoredDataModule):
        return "needs no files"
    if module.store.ready():
        return "ready"
    if module.store.folder.exists():
        return "incomplete"
    raw = module.root / "raw"
    files = {file for files in module.source.files.values() for file in files}
    there = [
        path.exists() and path.stat().st_size == file.bytes
        for file in files
        if (path := raw / file.name)
    ]
    if all(there):
        return "raw files there"
    return "incomplete" if any(there) else "not there"
