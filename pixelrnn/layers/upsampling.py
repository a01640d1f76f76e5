"""From a small image to features of a large one: the upsampling network of section 3.6.

The paper says that it is convolutional and has deconvolutions, and no more; the sizes are our
choice. Nothing is masked: all of the small image is known before the large one begins.

Axes: `B` batch, `C` colours, `h w` small image, `H W` large image, `F` features, `M` features out.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.ops.few_rows import product

Resize = Literal["deconvolution", "nearest"]
"""How features get larger: by a learnt deconvolution, or by repeating each pixel."""


class Upsampling(nn.Module):
    """3 x 3 convolutions on the small image, one resize, convolutions on the large one, a 1 x 1.

    A ReLU comes after every layer but the last. A deconvolution has stride f and kernel
    f + 2 (f // 2) along each axis, so that neighbours overlap. What reaches beyond the large image
    is cut off.

    Args:
        colors: C; of embedded symbols, the features of all of them (`CausalModel.inputs`).
        features: M.
        factor: (along rows, along columns), pixels of the large image for each of the small one.
        width: F.
        depth: number of convolutions before the resize, and after it.
        resize: see `Resize`.
    """

    def __init__(
        self,
        colors: int,
        features: int,
        factor: tuple[int, int],
        width: int,
        depth: int,
        resize: Resize,
    ) -> None:
        super().__init__()
        self.factor = factor
        self.before = nn.ModuleList(
            nn.Conv2d(width if index else colors, width, 3, padding=1) for index in range(depth)
        )
        reach = (factor[0] // 2, factor[1] // 2)
        size = (factor[0] + 2 * reach[0], factor[1] + 2 * reach[1])
        self.deconvolution = (
            nn.ConvTranspose2d(width, width, size, factor, reach)
            if resize == "deconvolution"
            else None
        )
        self.after = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.out = nn.Conv2d(width, features, 1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Compute the features.

        Args:
            x: the small image, scaled, (B, C, h, w).
            size: (H, W), at most (h, w) times the factor.

        Returns:
            (B, M, H, W).
        """
        return self._composed(x, size, lambda layer, y: layer(y))

    def by_products(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Compute `forward` without gradients, for a walk.

        On a CPU in float32 an image's features are the same to the last bit in any batch and on
        any number of threads, which the convolutions of torch do not promise (`ops.few_rows`).
        """
        with torch.no_grad():
            return self._composed(x, size, _by_products)

    def _composed(
        self, x: Tensor, size: tuple[int, int], run: Callable[[nn.Module, Tensor], Tensor]
    ) -> Tensor:
        for layer in self.before:
            x = run(layer, x).relu()
        if self.deconvolution is None:
            rows, columns = self.factor
            x = x.repeat_interleave(rows, dim=2).repeat_interleave(columns, dim=3)
        else:
            x = run(self.deconvolution, x).relu()
        x = x[:, :, : size[0], : size[1]]
        for layer in self.after:
            x = run(layer, x).relu()
        return run(self.out, x)


def _by_products(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution or deconvolution by one product: (B, in, h, w) -> (B, out, h', w')."""
    if isinstance(layer, nn.ConvTranspose2d):
        return _deconvolved(layer, x)
    assert isinstance(layer, nn.Conv2d)
    height, width = x.shape[2:]
    half = layer.weight.shape[-1] // 2
    padded = F.pad(x, (half, half, half, half))
    taps = [
        padded[:, :, row : row + height, column : column + width]
        for row in range(2 * half + 1)
        for column in range(2 * half + 1)
    ]
    pixels = torch.cat(taps, dim=1).permute(0, 2, 3, 1)  # (B, h, w, K * in)
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (K * in, out)
    return _product(pixels, weight).permute(0, 3, 1, 2) + _per_map(layer.bias)


def _deconvolved(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Each pixel's product, added to the window of the large image that it reaches."""
    height, width = x.shape[2:]
    rows, columns = layer.weight.shape[2:]
    down, right = layer.stride
    reached = _product(x.permute(0, 2, 3, 1), layer.weight.flatten(1))  # (B, h, w, out * taps)
    reached = reached.unflatten(-1, (-1, rows, columns))
    canvas = x.new_zeros(
        len(x), (height - 1) * down + rows, (width - 1) * right + columns, layer.weight.shape[1]
    )
    for row in range(rows):
        for column in range(columns):
            window = canvas[:, row::down, column::right][:, :height, :width]
            window.add_(reached[..., row, column])
    inside = canvas[:, down // 2 :, right // 2 :][:, : height * down, : width * right]
    return inside.permute(0, 3, 1, 2) + _per_map(layer.bias)


def _per_map(bias: Tensor | None) -> Tensor:
    """Lay the bias out as (out, 1, 1)."""
    assert bias is not None
    return bias[:, None, None]


def _product(pixels: Tensor, weight: Tensor) -> Tensor:
    """Multiply rows that are independent of each other: (..., in) -> (..., out)."""
    rows = pixels.flatten(0, -2)
    out = rows.new_zeros(len(rows), weight.shape[1])
    product(weight).add(out)(rows)
    return out.unflatten(0, pixels.shape[:-1])
