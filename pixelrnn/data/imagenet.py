"""Downsampled ImageNet, 32 x 32 and 64 x 64, in both published versions.

`oord` (van den Oord et al. 2016) is the paper's: 1,281,149 and 49,999 images. `box` (Chrabaszcz et
al. 2017) is the one that image-net.org gives out today: 1,281,167 and 50,000 images, resized with
another filter. One and the same model differs by about 0.26 bits/dim between them, more than most
improvements that were ever published, so a number without its version means nothing.
There is no test set: validation and test are the official validation images.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pixelrnn.data import npz_zip, png_tar
from pixelrnn.data.converted import Builder
from pixelrnn.data.download import raw_file
from pixelrnn.data.factory import served
from pixelrnn.data.published import PublishedImages
from pixelrnn.data.registry import SOURCES, RawFile
from pixelrnn.errors import DataError

Version = Literal["imagenet32_oord", "imagenet64_oord", "imagenet32_box", "imagenet64_box"]

_TWO_SETS = (
    "Two sets are called downsampled ImageNet: {0}_oord (1,281,149 / 49,999 images, PNG tars; the "
    "paper's) and {0}_box (1,281,167 / 50,000 images, npz zips; image-net.org today). They were "
    "resized differently, and the same model differs by about 0.26 bits/dim between them: never "
    "compare numbers across them. Put the right file there, or choose data={1}"
)


@dataclass
class DownsampledImageNetImages(PublishedImages):
    """(3, 32, 32) or (3, 64, 64), 256 levels; 1.28 million training images.

    The box versions have labels, 0 to 999, in the order of their authors.

    Args:
        version: which of the four sets.
        val_size: training images, from the end, kept for validation; 0: validation is the official
            validation split, as in the paper, and so is test, always.
        in_memory: hold the images in memory (3.9 or 15.7 GB); False: map the file.
    """

    version: Version = "imagenet32_oord"
    val_size: Annotated[int, Field(ge=0, lt=1_000_000)] = 0
    in_memory: bool = False

    def __post_init__(self) -> None:
        self.source = SOURCES[self.version]
        self.image_shape = self.source.image_shape
        self.levels = 256
        self.dataset_id = self.version

    def build(self, builder: Builder) -> None:
        """Convert the tar of PNG files, or the zips of .npz batches.

        Raises:
            DataError: a file cannot be had, is damaged, or belongs to the other version.
        """
        raw = {
            part: [self._raw(file) for file in files] for part, files in self.source.files.items()
        }
        for part, paths in raw.items():
            try:
                self._convert(part, paths, builder)
            except DataError as error:
                raise DataError(f"{error}.\n{self.about_others}") from error

    def _convert(self, part: str, paths: list[Path], builder: Builder) -> None:
        with builder.part(part) as images:
            if not self.source.labels:
                png_tar.convert(paths[0], images)
                return
            with builder.part(f"{part}_labels") as labels:
                npz_zip.convert(paths, part, self.source.members, images, labels)

    def _raw(self, file: RawFile) -> Path:
        members = self.source.members

        def vouched(path: Path) -> bool:
            return bool(members) and npz_zip.holds(path, members)

        try:
            return raw_file(self.source, file, self.root, vouched)
        except DataError as error:
            raise DataError(f"{error}\n{self.about_others}") from error

    @property
    def about_others(self) -> str:
        """That there are two sets of this name, which are never to be compared."""
        size, version = self.source.name.split("_")
        other = {"oord": "box", "box": "oord"}[version]
        return _TWO_SETS.format(size, f"{size}_{other}")


DownsampledImageNet = served(DownsampledImageNetImages, num_workers=2)
