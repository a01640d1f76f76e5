"""A 1x1 convolution that knows where it stands.

Axes: `H W` image, `B` batch, `F` features.
"""

from torch import Tensor, nn

from pixelrnn.layers.apply import Context
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.places import places
from pixelrnn.layers.steps.base import Step
from pixelrnn.layers.steps.placed_conv import PlacedStep


class PlacedConv(MaskedConv2d):
    """A 1x1 convolution under mask B plus a linear map of the position's row and column.

    Args:
        in_features: features in.
        out_features: features out.
        color_groups: number of colours that see each other in order.
        size: (H, W) of the images.
    """

    def __init__(
        self, in_features: int, out_features: int, color_groups: int, size: tuple[int, int]
    ) -> None:
        super().__init__("B", in_features, out_features, (1, 1), color_groups)
        self.size = size
        self.of_place = nn.Linear(2, out_features, bias=False)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Apply the layer to whole images: (H, W, B, in) -> (H, W, B, out)."""
        here = places(range(len(x)), x.shape[1], self.size, self.bias)
        return super().forward(x) + self.of_place(here)[:, :, None]

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`)."""
        return PlacedStep(self, batch, width)
