"""A network at one position: every layer of its composition replaced by its step.

Axes: `B` batch, `C_k` colours of a colour group, `P_k` parameters of a colour group.
"""

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn

from pixelrnn.generation.network import Network, NoStep
from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import InputStep, Step, repeated
from pixelrnn.ops import masks, recorded
from pixelrnn.ops.recorded import Recording
from pixelrnn.ops.tapes import Tapes


class _Enough(Exception):
    """All layers that remember a position have seen it."""


class Stepper:
    """A network at one position; its steps hold what is remembered of the positions before.

    For every row `begin_row` is called, then for every colour group of every pixel the stepper
    itself, and `see` as soon as the colours are known.

    Args:
        model: the network. It is not changed: memory and prepared weights are in the steps.
        batch: images advanced together, B.
        context: what the images are conditioned on.

    Raises:
        NoStep: here, or from the first call, for a network that is not written for this.
    """

    def __init__(self, model: Network, batch: int, context: Context | None = None) -> None:
        for name in ("compose", "inputs", "input_features", "color_groups"):
            if not hasattr(model, name):
                raise NoStep(f"{type(model).__name__} has no {name!r}")
        self.model = model
        self.batch = batch
        self.context = context
        self.width = model.image_shape[2]
        self.wide_layers = getattr(model, "wide_layers", ())
        groups = masks.group_sizes(model.input_features, model.color_groups)
        like = next(iter(model.parameters()))
        self.unknown = [like.new_zeros(batch, size) for size in groups]  # stands for pixels
        self.row = 0
        self.steps: list[Step] = []  # in the order in which the composition calls the layers
        self.inputs: list[InputStep] = []  # those of them that see pixels
        self.tapes = Tapes(len(groups), self.width, like)

    def begin_row(self, row: int) -> None:
        """Stand before a row: all pixels above it have been seen."""
        if self.wide_layers and self.steps:
            self._pass_blank_column()
        self.row = row
        for step in self.steps:
            step.begin_row(row)

    def __call__(self, column: int, group: int) -> Tensor:
        """Advance by one substep: the parameters of a colour group, (B, P_k)."""
        if (tape := self.tapes.tape(group)) is not None:
            return tape(column)
        if not self.steps or not self.tapes.wanted:
            return self._composed(column, group)
        return self.tapes.record(column, group, partial(self._composed, column, group))

    def pass_over(self, take: Callable[[], Sequence[Tensor]], columns: range) -> None:
        """Advance over known pixels of a row, whose parameters nobody needs.

        The layers after the last one that remembers are left out.

        Args:
            take: gives the pixels of each colour group, as `Network.inputs` does: (B, columns,
                C_k). It is called once, and not at all where the network turns out to have no step.
            columns: of the pixels.

        Raises:
            NoStep: see the class.
        """
        self._remember(columns[0], 0)
        by_column = [colors.unbind(1) for colors in take()]
        for index, column in enumerate(columns):
            for group, colors in enumerate(by_column):
                if index or group:
                    self._remember(column, group)
                self.see(colors[index], column, group)

    def _pass_blank_column(self) -> None:
        """Show the first layers the blank column at the end of a row (`CausalModel.wide_layers`).

        Its pixels are zeros, as the steps' memory of them is from the beginning.
        """
        for group in range(len(self.unknown)):
            with contextlib.suppress(_Enough):
                self._composed(self.width, group, until=len(self.wide_layers) - 1)

    def _remember(self, column: int, group: int) -> None:
        if (tape := self.tapes.tape(group)) is not None:
            tape.remember(column)
        elif not self.steps or self.tapes.wanted:
            self(column, group)
        else:
            with contextlib.suppress(_Enough):
                self._composed(column, group, until=self.last_to_remember)

    def _composed(
        self,
        column: int,
        group: int,
        recording: Recording | None = None,
        until: int | None = None,
    ) -> Tensor:
        """Run the composition: every layer is replaced by its step.

        Args:
            column: of the pixel.
            group: colour group.
            recording: is told what is done, and which of the calls later positions depend on.
            until: the last step that is called; None: all.

        Raises:
            _Enough: after that step.
        """
        unknown = self.unknown[group]
        calls = itertools.count()

        def run(layer: nn.Module, x: Tensor, pixels: Tensor | None = None) -> Tensor:
            call = next(calls)
            if until is not None and call > until:
                raise _Enough
            if call == len(self.steps):
                self.steps.append(self._step_of(layer, x is unknown or pixels is unknown))
            if recording is None:
                return self.steps[call](x, column, group)
            found = self.steps[call](recorded.plain(x), column, group)
            if call == self.last_to_remember:
                recording.remembering = len(recording.calls)
            return recorded.value(found, recording)

        return recorded.plain(self.model.compose(unknown, run))

    @functools.cached_property
    def last_to_remember(self) -> int:
        """The last of the steps that remember a position; -1 if none does."""
        return max((i for i, step in enumerate(self.steps) if step.remembers), default=-1)

    def see(self, pixels: Tensor, column: int, group: int) -> None:
        """Take in the colours of a group at a pixel, as `Network.inputs` gives them."""
        for step in self.inputs:
            step.see(pixels, column, group)

    def repeat(self, n: int | Tensor) -> Self:
        """Make a stepper for a larger batch: each image n times, or n[image] times, in a row.

        The context stays as it is: the steps have taken from it what they need.
        """
        twin = copy.copy(self)
        twin.unknown = [repeated(pixels, n) for pixels in self.unknown]
        twin.batch = len(twin.unknown[0])
        twin.steps = [step.repeat(n) for step in self.steps]
        twin.inputs = [step for step in twin.steps if isinstance(step, InputStep)]
        twin.tapes = self.tapes.anew()
        return twin

    def _step_of(self, layer: nn.Module, on_pixels: bool) -> Step:
        """Make the step of a layer; it stands at the beginning of the present row."""
        start: Callable[..., Step] | None = getattr(layer, "step", None)
        if start is None:
            raise NoStep(f"{type(layer).__name__} has no 'step'")
        width, context = self.width, self.context
        if any(layer is wide for wide in self.wide_layers):
            width, context = width + 1, context and context.widened()
        step = start(self.batch, width, context)
        if isinstance(step, InputStep):
            if not on_pixels:
                raise NoStep(
                    f"{type(layer).__name__} sees pixels, and is not applied to the pixels"
                )
            self.inputs.append(step)
        step.begin_row(self.row)
        self.tapes.wanted &= step.repeats
        return step
