"""Downsampled ImageNet, 32 x 32 and 64 x 64, in both published versions.

`oord` (van den Oord et al. 2016) is the paper's: 1,281,149 and 49,999 images. `box` (Chrabaszcz et
al. 2017) is the one that image-net.org gives out today: 1,281,167 and 50,000 images, resized with
another filter. One and the same model differs by about 0.26 bits/dim between them, more than most
improvements that were ever published, so a number without its version means nothing.
There is no test set: validation and test are the official validation images.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pixelrnn.arguments import Positive, Seed, Workers, checked
from pixelrnn.data import npz_zip, png_tar, registry
from pixelrnn.data.base import SPLITS, Split
from pixelrnn.data.converted import Builder
from pixelrnn.data.download import raw_file
from pixelrnn.data.published import StoredDataModule
from pixelrnn.data.registry import RawFile
from pixelrnn.errors import DataError

Version = Literal["imagenet32_oord", "imagenet64_oord", "imagenet32_box", "imagenet64_box"]

_TWO_SETS = (
    "Two sets are called downsampled ImageNet: {0}_oord (1,281,149 / 49,999 images, PNG tars; the "
    "paper's) and {0}_box (1,281,167 / 50,000 images, npz zips; image-net.org today). They were "
    "resized differently, and the same model differs by about 0.26 bits/dim between them: never "
    "compare numbers across them. Put the right file there, or choose data={1}"
)


class DownsampledImageNet(StoredDataModule):
    """(3, 32, 32) or (3, 64, 64), 256 levels; 1.28 million training images.

    Args:
        version: which of the four sets.
        val_size: training images, from the end, kept for validation; 0: validation is the official
            validation split, as in the paper, and so is test, always.
        in_memory: hold the images in memory (3.9 or 15.7 GB); False: map the file.
        root: folder of all data.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        seed: of the order of the data.
    """

    @checked
    def __init__(
        self,
        version: Version = "imagenet32_oord",
        val_size: Annotated[int, Field(ge=0, lt=1_000_000)] = 0,
        in_memory: bool = False,
        root: Path = Path("data"),
        batch_size: Positive = 16,
        eval_batch_size: Positive = 64,
        num_workers: Workers = 2,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            registry.SOURCES[version],
            root,
            in_memory=in_memory,
            levels=256,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id=version,
            splits=SPLITS,
        )
        self.val_size = val_size

    def build(self, builder: Builder) -> None:
        """See `StoredDataModule.build`."""
        raw = {
            part: [self._raw(file) for file in files] for part, files in self.source.files.items()
        }
        for part, paths in raw.items():
            with builder.part(part) as out:
                try:
                    if paths[0].suffix == ".tar":
                        png_tar.convert(paths[0], out)
                    else:
                        npz_zip.convert(paths, part, self.source.members, out)
                except DataError as error:
                    raise DataError(f"{error}.\n{self._two_sets()}") from error

    def load(self, split: Split) -> np.ndarray:
        """See `PixelDataModule.load`."""
        if split == "test" or (split == "val" and not self.val_size):
            return self.part("valid")
        images = self.part("train")
        cut = len(images) - self.val_size
        return images[:cut] if split == "train" else images[cut:]

    def _raw(self, file: RawFile) -> Path:
        members = self.source.members

        def vouched(path: Path) -> bool:
            return bool(members) and npz_zip.holds(path, members)

        try:
            return raw_file(self.source, file, self.root, vouched)
        except DataError as error:
            raise DataError(f"{error}\n{self._two_sets()}") from error

    def _two_sets(self) -> str:
        size, version = self.source.name.split("_")
        other = {"oord": "box", "box": "oord"}[version]
        return _TWO_SETS.format(size, f"{size}_{other}")
