"""How the numbers of a walk are made: fast, as the model computes, or the same on every CPU."""

import contextlib
import copy
from typing import Literal

from pixelrnn.compression.portable import Portable
from pixelrnn.models.base import ImageDistribution

Mode = Literal["fast", "portable"]


class Walker:
    """A model, and the arithmetic of its walks.

    Args:
        model: is not changed.
        mode: "portable" walks a copy of it, in float64 on the CPU.

    Attributes:
        model: the one that walks.
        mode: as given.
    """

    def __init__(self, model: ImageDistribution, mode: Mode) -> None:
        self.mode = mode
        self.model = copy.deepcopy(model).cpu().double() if mode == "portable" else model

    def arithmetic(self) -> contextlib.AbstractContextManager[object]:
        """A context for one walk."""
        return Portable() if self.mode == "portable" else contextlib.nullcontext()
