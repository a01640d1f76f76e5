"""What a layer adds of the context to its output: a linear map of a vector, and one of a map.

    y[r, c] + V vector + U map[r, c]

The vector is one for each image, such as its class (van den Oord et al. 2016b, section 2.3); the
map has features for each position, such as those of a smaller image (section 3.6 of the paper).
Nothing is masked: neither holds a pixel that is still to come. The layer has its bias already.

Axes: `H W` image, `B` batch, `K` features of the vector, `M` features of the map.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from pixelrnn.layers.apply import Context


@dataclass(frozen=True)
class Conditions:
    """How many features a network is conditioned on.

    Attributes:
        vector: K; None: no vector.
        map: M; None: no map.
    """

    vector: int | None = None
    map: int | None = None


NOTHING = Conditions()


class Conditioning(nn.Module):
    """The linear maps of one layer. That of the vector begins at zero: all classes are alike.

    Args:
        conditions: what there is to add; not nothing.
        out_features: features of the output that it is added to.
    """

    def __init__(self, conditions: Conditions, out_features: int) -> None:
        super().__init__()
        self.of_vector = self.of_map = None
        if conditions.vector is not None:
            self.of_vector = nn.Linear(conditions.vector, out_features, bias=False)
            nn.init.zeros_(self.of_vector.weight)
        if conditions.map is not None:
            self.of_map = nn.Linear(conditions.map, out_features, bias=False)

    def forward(self, context: Context | None) -> Tensor:
        """Compute what is added: (H, W, B, out); 1 stands for what is the same everywhere."""
        vector, map_ = self.inputs(context)
        terms = []
        if vector is not None and self.of_vector is not None:
            terms.append(self.of_vector(vector)[None, None])
        if map_ is not None and self.of_map is not None:
            terms.append(self.of_map(map_.permute(2, 3, 0, 1)))
        return sum(terms[1:], terms[0])

    def inputs(self, context: Context | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the vector (B, K) and the map (B, M, H, W) that the layer takes, or None.

        Raises:
            ValueError: the context lacks what the layer is conditioned on.
        """
        context = context or Context()
        for name, linear in (("vector", self.of_vector), ("map", self.of_map)):
            if linear is not None and getattr(context, name) is None:
                raise ValueError(
                    f"the layer is conditioned on a {name} of {linear.in_features} features, "
                    "which the context does not have"
                )
        return (
            context.vector if self.of_vector is not None else None,
            context.map if self.of_map is not None else None,
        )


def conditioning(conditions: Conditions, out_features: int) -> Conditioning | None:
    """Make the linear maps of a layer; None if there is nothing to add."""
    return None if conditions == NOTHING else Conditioning(conditions, out_features)
