"""What a layer adds of the context to the outputs of a row, at one position.

Axes: `B` batch, `H W` image, `K` features of the vector, `M` features of the map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import Memory, State
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.conditioning import Conditioning


@dataclass
class VectorState(State):
    """What all positions get.

    Attributes:
        term: (B, 1, out), the product with the vector.
    """

    term: Tensor


@dataclass
class MapState(State):
    """What each position gets.

    Attributes:
        map: (B, H, W, M).
    """

    map: Tensor


class ContextTerm(Memory):
    """The vector is multiplied once, when the walk begins; the map row by row.

    Args:
        layer: the linear maps of a layer.
        context: what the images are conditioned on.
        batch: B.
        columns: which outputs of the layer, and in which order, (out,): int64, or a slice.
    """

    def __init__(
        self,
        layer: "Conditioning",
        context: Context | None,
        batch: int,
        columns: Tensor | slice,
    ) -> None:
        vector, map_ = layer.inputs(context)
        self.vector: VectorState | None = None
        self.map: MapState | None = None
        if vector is not None and layer.of_vector is not None:
            weight = layer.of_vector.weight.t()[:, columns]  # (K, out)
            zeros = weight.new_zeros(batch, weight.shape[1])
            term = torch.empty_like(zeros)
            product(weight).add(term, zeros)(vector.to(zeros).expand(batch, -1))
            self.vector = VectorState(term[:, None])
        if map_ is not None and layer.of_map is not None:
            weight = layer.of_map.weight.t()[:, columns]  # (M, out)
            self.of_map = product(weight)
            self.map = MapState(map_.to(weight).permute(0, 2, 3, 1).expand(batch, -1, -1, -1))

    def bind(self) -> None:
        """Do nothing: `adding_to` binds, and is called by the `bind` of the layer's step."""

    def adding_to(self, terms: Tensor) -> Callable[[int], None]:
        """Bind a function of the row's number that adds to the row's outputs, (B, W, out)."""
        add_map = None if self.map is None else self.of_map.add(terms.flatten(0, 1))

        def add(row: int) -> None:
            if self.vector is not None:
                terms.add_(self.vector.term)
            if self.map is not None and add_map is not None:
                add_map(self.map.map[:, row].flatten(0, 1))

        return add


def context_term(
    layer: "Conditioning | None", context: Context | None, batch: int, columns: Tensor | slice
) -> ContextTerm | None:
    """Make the term of a layer; None if the layer is not conditioned."""
    return None if layer is None else ContextTerm(layer, context, batch, columns)


def adding(term: ContextTerm | None, terms: Tensor) -> Callable[[int], None]:
    """Bind a term to the outputs of a row, (B, W, out); without a term nothing is added."""
    return _nothing if term is None else term.adding_to(terms)


def _nothing(row: int) -> None:
    """Add nothing to a row."""
