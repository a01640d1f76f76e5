"""Recorders that run on a CPU: one that works, and those that go wrong as GPUs did for others."""

import weakref
from contextlib import contextmanager

import torch

from pixelrnn.ops.conv_lstm import recordings
from pixelrnn.ops.conv_lstm.recorder import Recorder


def into(memory, values):
    for mine, new in zip(memory, values, strict=True):
        recordings.flat(mine).copy_(recordings.flat(new))


class Honest(Recorder):
    """Like a CUDA graph: what is played back reads and writes the memory of the recording."""

    def __init__(self):
        self.recorded = self.played = self.settled = self.turns = 0
        self.busy = False

    def record(self, function):
        assert self.turns == 1, "recorded outside of a turn"
        self.recorded += 1
        outputs = function()

        def replay():
            assert self.turns == 1, "played outside of a turn"
            self.played += 1
            self.replay(outputs, function)

        return outputs, replay

    def replay(self, outputs, function):
        into(outputs, function())

    @contextmanager
    def turn(self, device):
        assert device == torch.device("cpu")
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1

    def settle(self, device):
        self.settled += 1

    def occupied(self):
        return self.busy


class KeepsNothing(Honest):
    """A graph holds addresses; it keeps nothing alive of what it reads."""

    def __init__(self):
        super().__init__()
        self.held = []

    def record(self, function):
        held = weakref.ref(function)
        self.held.append(held)
        return super().record(lambda: held()())


class FrozenOutputs(Honest):
    """Replays give the outputs of the first inputs for ever."""

    def record(self, function):
        outputs, _ = super().record(function)
        first = [recordings.like(x) for x in outputs]
        return outputs, lambda: into(outputs, first)


class FrozenInputs(Honest):
    """One of the inputs was read when it was recorded, as if it were a number of the host."""

    def record(self, function):
        memory = function.args
        first = recordings.like(memory[1])  # the weight

        def frozen():
            into(memory[1:2], [first])
            return function()

        return super().record(frozen)


class Zeros(Honest):
    """Replays write zeros."""

    def replay(self, outputs, function):
        into(outputs, [torch.zeros_like(x) for x in outputs])


class NothingWritten(Honest):
    """Replays do nothing."""

    def replay(self, outputs, function):
        pass


class RefusesToRecord(Honest):
    def record(self, function):
        raise RuntimeError("operation not permitted when stream is capturing")


class EndsInAnotherError(Honest):
    """What went wrong first is hidden by what then cannot be ended."""

    def record(self, function):
        try:
            raise RuntimeError("operation not permitted when stream is capturing")
        finally:
            raise RuntimeError("capture was invalidated")


class RefusesToReplay(Honest):
    def replay(self, outputs, function):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


class DiesLater(Honest):
    """Is right for a while; then replays raise."""

    def replay(self, outputs, function):
        if self.played > 6:
            raise RuntimeError("CUDA error: unspecified launch failure")
        super().replay(outputs, function)


class WrongLater(Honest):
    """Is right for a while; then memory that it reads holds something else."""

    def replay(self, outputs, function):
        super().replay(outputs, function)
        if self.played > 6:
            recordings.flat(outputs[0]).mul_(1.01)


class NeverSettles(RefusesToReplay):
    """A failed replay leaves the device unusable: whatever is asked of it next raises."""

    def settle(self, device):
        raise RuntimeError("CUDA error: device-side assert triggered")


class OnlySettlesRaise(Honest):
    """Records and replays well; the device is found unusable when it is waited for."""

    def settle(self, device):
        raise RuntimeError("CUDA error: device-side assert triggered")


class WrongForOneWidth(Honest):
    """Replays go wrong where there are 5 features, as kernels did for one width only."""

    def replay(self, outputs, function):
        super().replay(outputs, function)
        if outputs[0].shape[-1] in (5, 20):
            recordings.flat(outputs[0]).mul_(1.01)
