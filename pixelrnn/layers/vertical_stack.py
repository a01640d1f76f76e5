"""The vertical stack of the Gated PixelCNN (van den Oord et al. 2016, section 2.2 and figure 2).

It sees whole rows above, without a mask, so that nothing above is out of sight; the horizontal
stack, which sees the row at hand, reads it. It never reads the horizontal stack: through a kernel
that reaches to the right, that would show it what is not known yet.

The image is moved down by one row once, below the first layer. So the features at row r hold rows
before r alone, in every layer, and all kernels may read their own row.

Axes: `H W` image, `B` batch, `C` colours, `p` features of a layer, `L` layers.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from pixelrnn.layers.apply import Context
from pixelrnn.layers.conditioning import NOTHING, Conditions, conditioning
from pixelrnn.layers.gate import KEPT, KEPT_BEHIND_GATE, gate, no_gate
from pixelrnn.layers.masked_conv import MIN_FEATURES_FOR_PRODUCTS
from pixelrnn.layers.steps.base import Step
from pixelrnn.layers.steps.vertical_stack import VerticalStep
from pixelrnn.ops.tap_conv import tap_conv


class FullWidthConv(nn.Module):
    """A k x k convolution without the rows below its centre; nothing else is masked.

    It reads rows r - k // 2 .. r, columns c - k // 2 .. c + k // 2.

    Args:
        in_features: features in.
        out_features: features out.
        kernel_size: k, odd.
    """

    def __init__(self, in_features: int, out_features: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        rows = kernel_size // 2 + 1
        bound = 1 / math.sqrt(rows * kernel_size * in_features)
        weight = torch.empty(out_features, in_features, rows, kernel_size)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to whole images: (H, W, B, in) -> (H, W, B, out)."""
        half = self.kernel_size // 2
        if x.shape[-1] < MIN_FEATURES_FOR_PRODUCTS:
            padded = F.pad(x.permute(2, 3, 0, 1), (half, half, half, 0))  # (B, in, H+, W+)
            y = F.conv2d(padded, self.weight, self.bias).permute(2, 3, 0, 1)
            return y.contiguous()
        offsets = [
            (half - up, half - left) for up in range(half + 1) for left in range(2 * half + 1)
        ]
        centre_first = sorted(range(len(offsets)), key=lambda tap: offsets[tap] != (0, 0))
        taps = self.weight.flatten(2).permute(2, 0, 1)[centre_first]  # (K, out, in)
        return tap_conv(x, taps, self.bias, [offsets[tap] for tap in centre_first])


class VerticalLayer(nn.Module):
    """One layer of the vertical stack: a convolution, and what the horizontal stack gets of it.

    Args:
        in_features: features in.
        features: p.
        kernel_size: of the convolution, odd.
        conditions: what is added to both halves before the gate, and so to the link.
        gated: False leaves the gate out; the convolution and the link then have p features.
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        kernel_size: int,
        conditions: Conditions = NOTHING,
        gated: bool = True,
    ) -> None:
        super().__init__()
        self.gate = gate if gated else no_gate
        width = 2 * features if gated else features
        self.conv = FullWidthConv(in_features, width, kernel_size)
        self.link = nn.Linear(width, width)
        self.conditioning = conditioning(conditions, width)

    def forward(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """Compute the link (..., 2 p), taken before the gate, and the layer's output (..., p)."""
        a = self.conv(x)
        if self.conditioning is not None:
            a = a + self.conditioning(context)
        return self.link(a), self.gate(a)


class VerticalStack(nn.Module):
    """All vertical layers; put out are their links, side by side, to be cut by `links`.

    A row of it is known when the row begins, which is why it is one layer of the composition: at
    single positions it computes its whole row at once (`steps.vertical_stack`). There is no
    residual connection, as in the paper. No mask by colour is needed: all colours of the rows above
    are known. The links are split into colour groups like what they are added to.

    Args:
        colors: C; of embedded symbols, the features of all of them (`CausalModel.inputs`).
        features: p.
        layers: L.
        first_kernel_size: of the first layer, odd.
        kernel_size: of all others, odd.
        color_groups: number of colours that see each other in order.
        checkpoint_layers: keep only each layer's input for the backward.
        conditions: see `VerticalLayer`.
        first_gated: False leaves the gate of the first layer out.

    Attributes:
        parts: of each layer, how many parts of p features its link has: 2, or 1 without a gate.
    """

    takes_context = True

    def __init__(
        self,
        colors: int,
        features: int,
        layers: int,
        first_kernel_size: int,
        kernel_size: int,
        color_groups: int,
        checkpoint_layers: bool = False,
        conditions: Conditions = NOTHING,
        first_gated: bool = True,
    ) -> None:
        super().__init__()
        self.color_groups = color_groups
        self.checkpoint_layers = checkpoint_layers
        self.parts = [2 if index or first_gated else 1 for index in range(layers)]
        all_layers = [
            VerticalLayer(features, features, kernel_size, conditions)
            if index
            else VerticalLayer(colors, features, first_kernel_size, conditions, first_gated)
            for index in range(layers)
        ]
        with torch.no_grad():
            for index, layer in enumerate(all_layers[1:]):
                gated = index > 0 or first_gated  # the layer below
                layer.conv.weight.mul_(KEPT_BEHIND_GATE if gated else KEPT)
            for layer in all_layers:
                layer.link.weight.mul_(KEPT)
        self.layers = nn.ModuleList(all_layers)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Apply the stack to whole images: (H, W, B, C) -> (H, W, B, sum(parts) * p)."""
        x = F.pad(x[:-1], (0, 0, 0, 0, 0, 0, 1, 0))
        links = []
        for layer in self.layers:
            if self.checkpoint_layers and torch.is_grad_enabled():
                link, x = checkpoint(
                    layer, x, context, use_reentrant=False, preserve_rng_state=False
                )
            else:
                link, x = layer(x, context)
            links.append(link)
        return torch.cat(links, dim=-1)

    def links(self, x: Tensor) -> tuple[Tensor, ...]:
        """Cut what is put out, (..., sum(parts) * p), into the link of each layer."""
        width = x.shape[-1] // sum(self.parts)
        return x.split([width * parts for parts in self.parts], dim=-1)

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`)."""
        return VerticalStep(self, batch, width, context)
