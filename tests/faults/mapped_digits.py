"""The digits, read from memory-mapped files: what may befall the files of a data set."""

from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from pixelrnn.arguments import Split
from pixelrnn.data.digits import DigitsImages
from pixelrnn.data.factory import served


@dataclass
class MappedDigitsImages(DigitsImages):
    """The very images of `Digits`, mapped from `<path>/<split>.npy`.

    Args:
        path: the folder.
    """

    path: Path = Path("files")

    def load(self, split: Split) -> np.ndarray:
        """Maps, and writes the file first if it is not there."""
        file = self.path / f"{split}.npy"
        if not file.exists():
            self.path.mkdir(exist_ok=True)
            np.save(file, super().load(split))
        return np.load(file, mmap_mode="r")


MappedDigits = served(MappedDigitsImages, batch_size=32, eval_batch_size=256)
