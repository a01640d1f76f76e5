"""Symbols without order: each enters the network as a vector of its own.

Scaled to [-1, 1], as shades are, code 7 would be more like code 8 than like code 300; the codes of
a VQ-VAE have no such order.

Axes: `C` colours, `C_k` some of them side by side, `L` levels, `E` features of a symbol.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SymbolEmbedding(nn.Module):
    """A table of vectors for each colour, which is looked up.

    Features of a colour stand side by side, so that they are split into colour groups like the
    colours themselves.

    Args:
        colors: C.
        levels: L.
        features: E. The table begins as draws from the standard normal distribution.
    """

    def __init__(self, colors: int, levels: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(colors, levels, features))

    def forward(self, symbols: Tensor, first: int = 0) -> Tensor:
        """Look symbols up: (..., C_k) -> (..., C_k * E).

        Args:
            symbols: integers in [0, L). Of real numbers in [0, L - 1] the vectors are between those
                of the two nearest symbols, linearly, so that receptive fields can be measured by
                gradients.
            first: the colour of symbols[..., 0].
        """
        if symbols.is_floating_point():
            below = symbols.detach().floor().clamp(max=self.weight.shape[1] - 2)
            share = (
                (symbols - below)
                .to(self.weight.dtype)
                .repeat_interleave(self.weight.shape[2], dim=-1)
            )
            return torch.lerp(self(below.long(), first), self(below.long() + 1, first), share)
        levels = self.weight.shape[1]
        colors = torch.arange(first, first + symbols.shape[-1], device=symbols.device)
        vectors = F.embedding(symbols.long() + levels * colors, self.weight.flatten(0, 1))
        return vectors.flatten(-2)
