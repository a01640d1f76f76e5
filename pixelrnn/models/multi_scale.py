"""Multi-Scale PixelRNN (section 3.6): a small image first, then the large one that it lies in.

    p(x) = p(x_S) * product over pixels i outside S of p(x_i | x_<i, x_S)

S are the pixels of the small image: every f-th row and column of the large one, from the first on.
So the small image is subsampled exactly, and each pixel is counted once: the large network has no
loss at S, its samples copy S, and at every position it may read all of x_S, also below and to the
right. p sums to 1 over all images. (To score S again would give an upper bound of the negative
log-likelihood, and to leave x_S out no likelihood at all.)

`small` may be any distribution, another `MultiScale` included: that makes three scales.

Axes: `B` batch, `C` colours, `h w` small image, `H W` large image, `M` features of the map.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pixelrnn.arguments import Positive, checked
from pixelrnn.generation import raster
from pixelrnn.generation.known import Beforehand, OfSubsampled
from pixelrnn.generation.network import OnRow
from pixelrnn.generation.sources import Source
from pixelrnn.layers.apply import Context
from pixelrnn.layers.upsampling import Resize, Upsampling
from pixelrnn.models.base import ImageDistribution
from pixelrnn.models.causal import CausalModel
from pixelrnn.ops import subsampling
from pixelrnn.ops.subsampling import Factor


class MultiScale(ImageDistribution):
    """A model of the small image, and a network of the large one that is conditioned on it.

    Every layer of the large network adds an unmasked 1x1 of a map of M features, which an
    upsampling network makes of the small image.

    Args:
        small: of the images (C, h, w), with h = ceil(H / f) and w = ceil(W / f).
        large: of the images (C, H, W), with `map_features`.
        factor: f; None: what the shapes of both say. In a configuration it gives the small model
            its shape.
        upsampling_width: features of the inner layers of the upsampling network.
        upsampling_depth: number of its 3 x 3 convolutions on the small image, and on the large one.
        resize: "deconvolution" learns the step from small to large, "nearest" repeats each pixel.

    Raises:
        ValueError: the two do not fit each other.
    """

    @checked
    def __init__(
        self,
        small: ImageDistribution,
        large: CausalModel,
        *,
        factor: Factor | None = None,
        upsampling_width: Positive = 32,
        upsampling_depth: Positive = 1,
        resize: Resize = "deconvolution",
    ) -> None:
        super().__init__(large.image_shape, large.levels, _classes(small, large))
        self.factor = subsampling.factor_between(small.image_shape, large.image_shape, factor)
        _check(small, large)
        assert large.map_features is not None
        self.small = small
        self.large = large
        self.upsampling = Upsampling(
            large.input_features,
            large.map_features,
            self.factor,
            upsampling_width,
            upsampling_depth,
            resize,
        )
        self.known: Tensor
        self.others: Tensor
        known = subsampling.positions(large.image_shape[1:], self.factor)  # bool (H, W)
        self.register_buffer("known", known, persistent=False)
        others = (~known).flatten().nonzero()[:, 0]  # flat indices into (H, W)
        self.register_buffer("others", others, persistent=False)

    @staticmethod
    def shapes_of_parts(
        arguments: Mapping[str, Any], image_shape: tuple[int, int, int]
    ) -> dict[str, tuple[int, int, int]]:
        """Say which images the parts of a configured model are of, given those of the whole.

        Args:
            arguments: of the constructor, as a configuration holds them.
            image_shape: (C, H, W).
        """
        factor = arguments.get("factor")
        if factor is None:
            return {"large": image_shape}
        return {"small": subsampling.small_shape(image_shape, factor), "large": image_shape}

    @property
    def order(self) -> Tensor:
        """The small image in its order, then the other pixels row by row. See the base class."""
        colors, _, width = self.image_shape
        _, _, small_width = self.small.image_shape
        order = self.small.order
        pixel, color = order // colors, order % colors
        row = pixel // small_width * self.factor[0]
        column = pixel % small_width * self.factor[1]
        first = (row * width + column) * colors + color
        rest = self.others.cpu()[:, None] * colors + torch.arange(colors)
        return torch.cat([first, rest.flatten()])

    @property
    def rows_walked(self) -> int:
        """See `ImageDistribution.rows_walked`."""
        return self.small.rows_walked + self.large.rows_walked

    @property
    def ordered(self) -> bool:
        """See `ImageDistribution.ordered`."""
        return self.large.ordered

    def scales(self, images: Tensor) -> list[Tensor]:
        """The images at every scale, smallest first (figure 8): uint8 (B, C, h, w), ..."""
        return [*self.small.scales(self._small(images)), images]

    def train(self, mode: bool = True) -> "MultiScale":
        """Switch to training; a small model whose weights are all fixed stays in eval mode."""
        super().train(mode)
        if not any(weight.requires_grad for weight in self.small.parameters()):
            self.small.eval()
        return self

    def _log_prob(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        small = self._small(images)
        of_small = self.small._log_prob(small, _for(self.small, labels))
        of_others = self.large.scores(images, self._context(small, labels), self.others)
        return of_small + of_others.sum(0)

    def _conditionals(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        small = self._small(images)
        table = self.large.tables(images, self._context(small, labels))
        of_small = self.small._conditionals(small, _for(self.small, labels))
        rows, columns = self.factor
        table[..., ::rows, ::columns] = of_small.to(table)
        return table

    def _generate(
        self,
        n: int,
        source: Source,
        labels: Tensor | None = None,
        *,
        on_row: OnRow | None = None,
        steps_only: bool = False,
    ) -> Tensor:
        small = self.small._generate(
            n,
            OfSubsampled(source, self.factor),
            _for(self.small, labels),
            on_row=on_row and self._enlarging(on_row),
            steps_only=steps_only,
        )
        coarse = self._enlarged(small)
        with torch.no_grad():
            context = self._context(small, labels, in_walk=True)

        def row_done(images: Tensor, row: int) -> None:
            assert on_row is not None
            on_row(torch.cat([images[:, :, : row + 1], coarse[:, :, row + 1 :]], dim=2), row)

        return raster.generate(
            self.large,
            n,
            Beforehand(coarse, self.known, source),
            context=context,
            on_row=on_row and row_done,
            steps_only=steps_only,
        )

    def _context(
        self, small: Tensor, labels: Tensor | None, *, in_walk: bool = False
    ) -> Context | None:
        """Compute what the large network is conditioned on."""
        size = self.image_shape[1:]
        pixels = self.large.inputs(small.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        upsample = self.upsampling.by_products if in_walk else self.upsampling
        return self.large.context(_for(self.large, labels), upsample(pixels, size))

    def _small(self, images: Tensor) -> Tensor:
        return subsampling.subsampled(images, self.factor).contiguous()

    def _enlarged(self, small: Tensor) -> Tensor:
        """Repeat each pixel of the small image: uint8 (n, C, H, W), which is right at S."""
        (_, height, width), (rows, columns) = self.image_shape, self.factor
        large = small.repeat_interleave(rows, dim=2).repeat_interleave(columns, dim=3)
        return large[:, :, :height, :width]

    def _enlarging(self, on_row: OnRow) -> OnRow:
        """Show the small image, enlarged, while it is generated."""

        def row_done(small: Tensor, row: int) -> None:
            last = min((row + 1) * self.factor[0], self.image_shape[1]) - 1
            on_row(self._enlarged(small), last)

        return row_done


def _for(model: ImageDistribution, labels: Tensor | None) -> Tensor | None:
    """The labels if the model has classes."""
    return None if model.classes is None else labels


def _classes(small: ImageDistribution, large: ImageDistribution) -> int | None:
    if small.classes and large.classes and small.classes != large.classes:
        raise ValueError(
            f"small.classes={small.classes} but large.classes={large.classes}: make them equal, or "
            "one of them null"
        )
    return large.classes or small.classes


def _check(small: ImageDistribution, large: CausalModel) -> None:
    """Refuse parts that do not fit each other; their shapes were looked at."""
    if large.map_features is None:
        raise ValueError("large.map_features must be a number: the features that it is given")
    if isinstance(small, CausalModel) and small.map_features is not None:
        raise ValueError("small.map_features must be null: nothing gives the small model a map")
    if small.levels != large.levels:
        raise ValueError(f"small.levels={small.levels} but large.levels={large.levels}")
