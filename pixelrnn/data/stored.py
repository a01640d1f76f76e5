"""Sets whose files are converted once, and read from the converted arrays."""

from abc import abstractmethod

from pixelrnn.data.converted import Builder, Store
from pixelrnn.data.image_set import ImageSet


class StoredImages(ImageSet):
    """Base of the published sets, and of the user's own images."""

    @property
    @abstractmethod
    def store(self) -> Store:
        """The converted files."""

    @abstractmethod
    def build(self, builder: Builder) -> None:
        """Convert the files into every part of `store`.

        Raises:
            DataError: files are missing, damaged, or not what they should be.
        """
