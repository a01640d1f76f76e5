"""Recordings of functions of tensors, one for each layout of their arguments, and their upkeep.

Few are kept; each is compared with the function before it is used, and now and then afterwards.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pixelrnn.errors import KernelError
from pixelrnn.ops import choices
from pixelrnn.ops.conv_lstm.recorder import Outputs, Recorder

LIMIT = 8
"""Recordings that are kept for each cell and dtype; each has memory of its own for its inputs."""

PATIENCE = 2
"""Calls with a shape from which on it is recorded: what comes once is not worth it."""

COMPARED = 1000
"""Every so many calls a recording is compared with the loops again."""

_REMEMBERED = 256
"""Shapes that were met, or are not recorded again after a failure; the oldest is forgotten."""

Inputs = tuple[Tensor | None, ...]
Key = tuple[Any, ...]


class Recordings:
    """The recordings that were used last, and what is not recorded.

    Args:
        recorder: makes them.
        patience: calls with a shape from which on it is recorded.
        limit: recordings that are kept.
        strict: a recording that fails raises its error.
    """

    def __init__(self, recorder: Recorder, patience: int, limit: int, strict: bool) -> None:
        self.recorder, self.strict = recorder, strict
        self.patience, self.limit = patience, limit
        self.of: OrderedDict[Key, Recording] = OrderedDict()
        self.met: OrderedDict[Key, int] = OrderedDict()  # calls so far; -1: is not recorded again

    def play(
        self, function: Callable[..., Outputs], inputs: Inputs, key: Key, device: torch.device
    ) -> Outputs:
        """Return `function(*inputs)`; `key` names the function and what it closes over."""
        if self.recorder.occupied():
            return function(*inputs)
        key = (*key, device, numerics(), *(None if x is None else _layout(x) for x in inputs))
        with self.recorder.turn(device):
            outputs = self._played(function, inputs, key, device)
        return function(*inputs) if outputs is None else outputs

    def _played(
        self, function: Callable[..., Outputs], inputs: Inputs, key: Key, device: torch.device
    ) -> Outputs | None:
        """Return the outputs from a recording; None where there is none, or none that works."""
        try:
            recording = self.of.get(key) or self._recorded(function, inputs, key, device)
            if recording is None:
                return None
            self.of.move_to_end(key)
            outputs = recording.play(inputs)
        except (
            Exception
        ) as error:  # whatever a driver, or a library that cannot be recorded, raises
            self._give_up(key, error, device)
            return None
        if recording.played % COMPARED == 0:
            try:
                _assert_equal(outputs, function(*inputs))
            except AssertionError as error:
                raise KernelError(
                    f"a CUDA graph gives other results after {recording.played} calls "
                    f"({_line(error)}): start again with kernel.name=autograd"
                ) from error
        return outputs

    def _recorded(
        self, function: Callable[..., Outputs], inputs: Inputs, key: Key, device: torch.device
    ) -> "Recording | None":
        """Record a shape that was met often enough; return None for any other."""
        calls = self.met.pop(key, 0)
        self.met[key] = calls if calls < 0 else calls + 1
        while len(self.met) > _REMEMBERED:
            self.met.popitem(last=False)
        if self.met[key] < self.patience:
            return None
        if len(self.of) >= self.limit:
            self.recorder.settle(device)  # it may still be playing
            self.of.popitem(last=False)
        recording = Recording(function, inputs, self.recorder)
        recording.verify(function, inputs)
        self.of[key] = recording
        return recording

    def _give_up(self, key: Key, error: Exception, device: torch.device) -> None:
        """Go on without graphs for a shape, if the device goes on at all.

        Raises:
            KernelError: it does not.
            Exception: the error, if `strict`.
        """
        self.met[key] = -1
        if not self.strict:
            size = "x".join(str(side) for side in key[-1][0])
            choices.note(
                f"conv_lstm: {key[0]} of {size}: launched step by step, no CUDA graph "
                f"({_line(error)})",
                logging.WARNING,
            )
        try:
            self.recorder.settle(device)
        except Exception as second:
            raise KernelError(
                f"{device} does not go on after a CUDA graph that failed ({_line(error)}): "
                "start again with kernel.name=autograd"
            ) from second
        self.of.pop(key, None)
        if self.strict:
            raise error


class Recording:
    """One recorded call: the memory that it reads and that it writes, and how it is played."""

    def __init__(
        self, function: Callable[..., Outputs], inputs: Inputs, recorder: Recorder
    ) -> None:
        self.played = 0
        self.inputs = tuple(None if x is None else like(x) for x in inputs)
        self.call = partial(function, *self.inputs)  # keeps alive what it uses, such as tables
        self.outputs, self.replay = recorder.record(self.call)

    def play(self, inputs: Inputs) -> Outputs:
        """Return the outputs for these inputs, in memory of their own."""
        for mine, given in zip(self.inputs, inputs, strict=True):
            if mine is not None and given is not None:
                flat(mine).copy_(flat(given))
        self.replay()
        self.played += 1
        return tuple(like(output) for output in self.outputs)

    def verify(self, function: Callable[..., Outputs], inputs: Inputs) -> None:
        """Play it with other inputs than it was recorded with, then with these.

        Raises:
            AssertionError: the outputs are not those of the function.
        """
        others = tuple(None if x is None else _changed(x) for x in inputs)
        for given in (others, inputs):
            _assert_equal(self.play(given), function(*given))


def numerics() -> Key:
    """Return what a recording keeps of the process's settings for products, such as TF32."""
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        torch.are_deterministic_algorithms_enabled(),
    )


def _assert_equal(ours: Outputs, theirs: Outputs) -> None:
    for mine, true in zip(ours, theirs, strict=True):
        torch.testing.assert_close(flat(mine), flat(true), equal_nan=True)


def _line(error: BaseException) -> str:
    """Return what an error says; the one that it came of, if there is one, says more."""
    first = error
    while first.__context__ is not None:
        first = first.__context__
    return " ".join(str(first).split())[:200] or type(first).__name__


def _layout(x: Tensor) -> Key:
    return x.shape, x.stride(), x.dtype


def flat(x: Tensor) -> Tensor:
    """Return all memory that a tensor reaches, each element once, even if it is shown twice."""
    reach = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.as_strided((reach + 1,), (1,)) if x.numel() else x.flatten()


def like(x: Tensor) -> Tensor:
    """Return a copy in memory of its own, of the same layout."""
    return flat(x).clone().as_strided(x.shape, x.stride()) if x.numel() else x.clone()


def _changed(x: Tensor) -> Tensor:
    """Return other values of the same kind and layout."""
    other = like(x)
    flat(other).mul_(0.5).add_(0.25)
    return other
