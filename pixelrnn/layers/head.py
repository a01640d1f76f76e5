"""The head: from the feature stream to the parameters of the distributions (table 1)."""

from typing import cast

from torch import Tensor, nn

from pixelrnn.layers.apply import Run, is_whole
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.ops.pointwise_chain import pointwise_chain, served


def default_width(levels: int) -> int:
    """Return 1024 for 256 levels and 32 for binary (paper, section 4); else our choice.

    It is 128 between, and 256 above, where the last layer has as many rows as there are levels.
    """
    if levels == 2:
        return 32
    if levels > 256:
        return 256
    return 1024 if levels == 256 else 128


class Head(nn.Module):
    """Three 1x1 convolutions under mask B, each after a ReLU; the last gives the parameters.

    The ReLU before the last 1x1 is our reading: without it two linear maps in a row would be one.

    Args:
        in_features: width of the stream, 2h.
        width: features of the two inner layers.
        out_features: colours x parameters per sub-pixel.
        color_groups: number of colours that see each other in order.
    """

    def __init__(self, in_features: int, width: int, out_features: int, color_groups: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            MaskedConv2d("B", before, after, (1, 1), color_groups)
            for before, after in ((in_features, width), (width, width), (width, out_features))
        )

    def compose(self, x: Tensor, run: Run) -> Tensor:
        """Apply the head: (..., in) -> (..., out).

        Whole images go through all layers but the last in one call, where that can be.
        """
        if is_whole(run):
            *inner, last = cast(list[MaskedConv2d], list(self.layers))
            pairs = [(layer.weight_up_to_centre(), layer.bias) for layer in inner]
            if served(x, pairs):
                return run(last, pointwise_chain(x, pairs).relu())
        for layer in self.layers:
            x = run(layer, x.relu())
        return x
