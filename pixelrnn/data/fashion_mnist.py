"""Fashion-MNIST: photographs of clothes in MNIST's own file format (Xiao et al., arXiv 1708.07747).

A real set of MNIST's size that Debian ships (package `dataset-fashion-mnist`): where it is
installed, no network is needed. Its static draw is our own, made once from a fixed seed.
"""

import gzip
import hashlib
import zlib
from pathlib import Path

from pydantic.dataclasses import dataclass

from pixelrnn.data.factory import served
from pixelrnn.data.mnist import IdxImages
from pixelrnn.data.registry import SOURCES, RawFile
from pixelrnn.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts the files."""


@dataclass
class FashionMNISTImages(IdxImages):
    """(1, 28, 28), 2 levels, or 256 with `binarize="none"`; 50,000 / 10,000 / 10,000 images.

    Labels 0 to 9: T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle
    boot.

    Args:
        binarize: "static": one draw with probability grey / 255, of a fixed seed (2016); "dynamic":
            training images are drawn at every presentation, validation and test as for "static";
            "threshold": grey >= 128; "none": grey levels.
        folder: where the four files lie, named as published; None: where Debian's package puts
            them, and if it is not installed, they are fetched.
    """

    folder: Path | None = None

    def __post_init__(self) -> None:
        grey = self.binarize == "none"
        self.source = SOURCES["fashion_mnist"]
        self.image_shape = self.source.image_shape
        self.levels = 256 if grey else 2
        self.dataset_id = f"fashion_mnist_{'grey' if grey else self.binarize}"

    def raw(self, file: RawFile) -> Path:
        """The path of a verified raw file: in `folder`, in Debian's, or under the root.

        Raises:
            DataError: it is damaged, or cannot be had; `folder` was given and has no such file.
        """
        path = (self.folder or DEBIAN) / file.published
        if not path.exists():
            if self.folder:
                raise DataError(f"data.folder={self.folder}: {file.published} is not there")
            return super().raw(file)
        found, expected = _unpacked(path), self.source.members[file.published]
        if found != expected:
            raise DataError(
                f"{path} is damaged, or another file: expected MD5 {expected} of what it holds, "
                f"found {found or 'no whole gzip file'}; install it anew, or give another "
                "data.folder"
            )
        return path

    def state(self) -> str:
        """What there is on disc; see `PublishedImages.state`."""
        state, folder = super().state(), self.folder or DEBIAN
        files = {file.published for files in self.source.files.values() for file in files}
        packaged = all((folder / name).exists() for name in files)
        return "raw files there" if packaged and state != "ready" else state


def _unpacked(path: Path) -> str | None:
    """MD5 of what a gzip file holds; None if it is none."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with gzip.open(path) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None
    return digest.hexdigest()


FashionMNIST = served(FashionMNISTImages)
