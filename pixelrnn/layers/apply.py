"""How a composition applies its layers: the seam between whole images and single positions.

A network is written once, as a function of `run(layer, x)`. Additions and ReLUs do not care about
spatial extent; every layer with weights or memory is applied through `run`.
"""

from collections.abc import Callable

from torch import Tensor, nn

Run = Callable[[nn.Module, Tensor], Tensor]


def whole(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply to a whole image at once: (H, W, B, F) -> (H, W, B, F')."""
    return layer(x)
