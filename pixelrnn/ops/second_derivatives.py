"""Gradients that can be differentiated again, where C++ code computes those of first order."""

from collections.abc import Sequence

import torch
from torch import Tensor


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], upstream: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Differentiate what a reference computed, for a backward under `create_graph=True`.

    Args:
        outputs: of the reference, of any shapes.
        inputs: what they were computed from.
        upstream: the gradients of the outputs.

    Returns:
        The gradient of each input; None for one that needs none, such as a frozen weight.
    """
    wanted = [x for x in inputs if x.requires_grad]
    found = iter(
        torch.autograd.grad(outputs, wanted, upstream, create_graph=True, allow_unused=True)
    )
    return tuple(next(found) if x.requires_grad else None for x in inputs)
