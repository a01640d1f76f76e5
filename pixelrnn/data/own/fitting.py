"""Pictures of any size as images of one size. Axes: `H W` picture, `h w` image, `C` channels."""

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

Fit = Literal["resize", "crop", "pad", "tiles"]
Filter = Literal["box", "bilinear", "bicubic", "lanczos"]

_FILTERS: dict[Filter, Image.Resampling] = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Fitting(NamedTuple):
    """How a picture becomes one image, or several.

    Attributes:
        size: (h, w).
        fit: "resize": scaled, with its aspect kept, until it just covers the size; what stands out
            at two sides is cut off. "crop": its centre, unscaled. "pad": scaled down until it lies
            within the size, never up; around it is background. "tiles": all images that lie side by
            side in it, around its centre, row by row.
        short_side: before "crop" or "tiles", it is scaled until its shorter side has so many
            pixels; None: not scaled.
        filter: of all scaling; each of them averages over what becomes one pixel (antialias).
        background: of "pad", one shade for each channel.
    """

    size: tuple[int, int]
    fit: Fit
    short_side: int | None
    filter: Filter
    background: tuple[int, ...]

    def images(self, picture: np.ndarray) -> np.ndarray:
        """The images that a picture becomes.

        Args:
            picture: uint8 (H, W, C).

        Returns:
            uint8 (n, h, w, C); n is 1 but for tiles.
        """
        if self.fit == "resize":
            return self._covering(picture)[None]
        if self.fit == "pad":
            return self._padded(picture)[None]
        picture = self._scaled(picture, self._shortened(*picture.shape[:2]))
        return self._tiles(picture, most=1 if self.fit == "crop" else None)

    def pieces(self, height: int, width: int) -> int:
        """How many images a picture of this size becomes."""
        if self.fit != "tiles":
            return 1
        height, width = self._shortened(height, width)
        return (height // self.size[0]) * (width // self.size[1])

    def problem(self, height: int, width: int) -> str:
        """Why a picture of this size cannot be used; "" if it can."""
        if self.fit in ("resize", "pad"):
            return ""
        height, width = self._shortened(height, width)
        if height >= self.size[0] and width >= self.size[1]:
            return ""
        return f"smaller than {self.size[0]} x {self.size[1]}"

    def enlarges(self, height: int, width: int) -> bool:
        """Whether a picture of this size is scaled up."""
        if self.fit == "resize":
            return height < self.size[0] or width < self.size[1]
        return self.short_side is not None and min(height, width) < self.short_side

    def _shortened(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns after `short_side`."""
        if self.short_side is None:
            return height, width
        scale = self.short_side / min(height, width)
        return round(height * scale), round(width * scale)

    def _covering(self, picture: np.ndarray) -> np.ndarray:
        (height, width), (rows, columns) = picture.shape[:2], self.size
        scale = max(rows / height, columns / width)
        kept_h, kept_w = min(height, rows / scale), min(width, columns / scale)
        top, left = (height - kept_h) / 2, (width - kept_w) / 2
        return self._scaled(picture, self.size, (left, top, left + kept_w, top + kept_h))

    def _padded(self, picture: np.ndarray) -> np.ndarray:
        (height, width), (rows, columns) = picture.shape[:2], self.size
        scale = min(1, rows / height, columns / width)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
        image = np.empty((rows, columns, picture.shape[2]), np.uint8)
        image[:] = self.background
        top, left = (rows - inner[0]) // 2, (columns - inner[1]) // 2
        image[top : top + inner[0], left : left + inner[1]] = self._scaled(picture, inner)
        return image

    def _tiles(self, picture: np.ndarray, most: int | None) -> np.ndarray:
        (height, width), (rows, columns) = picture.shape[:2], self.size
        down, across = (height // rows, width // columns)
        if most is not None:
            down = across = most
        top, left = (height - down * rows) // 2, (width - across * columns) // 2
        kept = picture[top : top + down * rows, left : left + across * columns]
        grid = kept.reshape(down, rows, across, columns, -1).swapaxes(1, 2)
        return np.ascontiguousarray(grid).reshape(-1, rows, columns, picture.shape[2])

    def _scaled(
        self,
        picture: np.ndarray,
        size: tuple[int, int],
        box: tuple[float, float, float, float] | None = None,
    ) -> np.ndarray:
        """The picture, or a box (left, top, right, bottom) of it, with another number of pixels."""
        if picture.shape[:2] == size:
            return picture
        bands = [
            Image.fromarray(np.ascontiguousarray(picture[..., channel])).resize(
                (size[1], size[0]), _FILTERS[self.filter], box
            )
            for channel in range(picture.shape[2])
        ]
        return np.stack([np.asarray(band) for band in bands], axis=-1)
