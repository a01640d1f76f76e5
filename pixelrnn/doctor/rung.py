"""What is checked and measured of one implementation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.native import compiler
from pixelrnn.ops import self_check
from pixelrnn.ops.self_check import Function, Outcome, Subject

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Rung:
    """One implementation.

    Attributes:
        name: the function, and which implementation.
        run: it, a function of tensors.
        reference: what it should compute.
        small: shapes for the comparison, with odd numbers of features.
        large: shapes for the measurement; empty: it is not measured.
        differentiable: whether it has a backward pass.
        scales: standard deviation of each tensor; empty: 1 for all.
        dtypes: in which it is used.
        device: the only type of device it runs on; None: any.
        source: its C++ file, if there is one.
        large_run: `run` and `reference` at the large shapes, where they depend on these.
        bind: makes of tensors a function that does the work as often as it is called, where a part
            of it is done once; None: there is no such part.
        bind_reference: the same for the reference.
    """

    name: str
    run: Function
    reference: Function
    small: Shapes
    large: Shapes
    differentiable: bool = True
    scales: tuple[float, ...] = ()
    dtypes: tuple[torch.dtype, ...] = (FLOAT32, BFLOAT16)
    device: str | None = None
    source: Path | None = None
    large_run: tuple[Function, Function] | None = None
    bind: Callable[..., Callable[[], object]] | None = None
    bind_reference: Callable[..., Callable[[], object]] | None = None

    def refusal(self, device: torch.device) -> str | None:
        """Return why it cannot run on a device, or None if it can."""
        if self.device not in (None, device.type):
            return f"runs on {self.device} only"
        if self.source is not None and not compiler.available(
            self.source, f"no native {self.name}"
        ):
            return "its C++ code was not built"
        return None

    def outcome(self, dtype: torch.dtype, device: torch.device) -> Outcome:
        """Compare it with its reference in float64 (`ops.self_check`)."""
        subject = Subject(self.run, self.reference, self.small, self.differentiable, self.scales)
        return self_check.check(subject, dtype, device)

    def work(self, device: torch.device) -> dict[str, Callable[[], object]]:
        """Return what is timed: "this" implementation and its "reference", on the same tensors."""
        generator = torch.Generator().manual_seed(0)
        tensors = [torch.randn(shape, generator=generator).to(device) for shape in self.large]
        run, plain = self.large_run or (self.run, self.reference)
        if not self.differentiable:
            bind = self.bind or partial(partial, run)
            plainly = self.bind_reference or partial(partial, plain)
            return {"this": bind(*tensors), "reference": plainly(*tensors)}
        for tensor in tensors:
            tensor.requires_grad_()
        return {"this": partial(_pass, run, tensors), "reference": partial(_pass, plain, tensors)}


def _pass(run: Function, tensors: list[Tensor]) -> None:
    with torch.enable_grad():
        torch.autograd.grad(run(*tensors).sum(), tensors)
