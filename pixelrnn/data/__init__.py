"""Images: LightningDataModules that know no model."""

from pixelrnn.data.base import PixelDataModule as PixelDataModule
from pixelrnn.data.digits import Digits as Digits
from pixelrnn.data.patches import Patches as Patches
