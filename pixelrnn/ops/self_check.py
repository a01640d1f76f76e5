"""Does a fast implementation compute what its reference does, on the device at hand?

Values and all gradients are compared with those of the reference in float64 on the CPU, in
situations of which each finds one kind of fault that the others let pass:

    first values        the arithmetic itself
    new values          what was remembered of earlier inputs (the same memory holds new values)
    other memory        what was remembered of where earlier inputs lay
    without gradients   the path that keeps nothing for a backward pass
    graph kept          a backward pass that destroys what a second one needs
    accumulated         gradients in memory that the next backward pass writes again
    two in flight       two forward passes before their backward passes

They are what went wrong in kernels of others: recorded graphs that read frozen values, gradients
that were wrong on one kind of GPU only, or for one width, or when they were accumulated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[..., Tensor]

_LARGEST = 0.1
"""No implementation may be further off than this, whatever the reference loses in that dtype."""


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        run: the implementation, a function of tensors.
        reference: what it should compute, for any float dtype.
        shapes: of the tensors, which are drawn from normal distributions.
        differentiable: whether it has a backward pass.
        scales: standard deviation of each tensor; empty: 1 for all. Weights of a recurrence want
            one that keeps it from being chaotic, or rounding grows from step to step.
    """

    run: Function
    reference: Function
    shapes: Sequence[tuple[int, ...]]
    differentiable: bool = True
    scales: Sequence[float] = ()


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        errors: situation -> largest difference of any value or gradient, relative to the largest
            entry of its tensor or to 1; infinite where shapes differ or a number is not finite.
        allowed: the largest error that rounding explains.
    """

    errors: dict[str, float]
    allowed: float

    @property
    def worst(self) -> float:
        """The largest error of any situation."""
        return max(self.errors.values())

    @property
    def passed(self) -> bool:
        """Whether rounding explains all errors."""
        return self.worst <= self.allowed

    @property
    def fault(self) -> str | None:
        """In which situation the error is largest, if rounding does not explain it."""
        if self.passed:
            return None
        situation = max(self.errors, key=lambda name: self.errors[name])
        return f"{situation}: error {self.worst:.1e}, rounding explains {self.allowed:.1e}"


def check(subject: Subject, dtype: torch.dtype, device: torch.device) -> Outcome:
    """Compare an implementation with its reference.

    In float32 and float64 a hundred roundings are allowed; in each dtype twice the error of the
    reference when it is computed in that dtype on that device, as with bfloat16 or TensorFloat-32.

    Args:
        subject: what is checked, and against what.
        dtype: of the tensors.
        device: where they lie.

    Raises:
        Exception: whatever the implementation raises.
    """
    cases = [_Case.drawn(subject, dtype, seed) for seed in range(3)]
    rounded = max(_errors(subject.reference, cases, device).values())
    return Outcome(_errors(subject.run, cases, device), _allowed(dtype, rounded))


def _errors(run: Function, cases: Sequence["_Case"], device: torch.device) -> dict[str, float]:
    """Return the error in each situation."""
    errors = {}
    first = cases[0].on(device)
    errors["first values"] = _error(_results(run, first, cases[0]), cases[0].truth)
    with torch.no_grad():
        for tensor, new in zip(first, cases[1].inputs, strict=True):
            tensor.copy_(new)
    errors["new values"] = _error(_results(run, first, cases[1]), cases[1].truth)
    other = cases[2].on(device)  # while the first tensors hold their memory
    with torch.no_grad():
        for tensor in first:
            tensor.fill_(float("nan"))
    errors["other memory"] = _error(_results(run, other, cases[2]), cases[2].truth)
    if cases[0].differentiable:
        with torch.no_grad():
            value = run(*cases[0].on(device))
        errors["without gradients"] = _error([value], cases[0].truth[:1])
        errors["graph kept"] = _graph_kept(run, cases[0], device)
        errors["accumulated"] = _accumulated(run, cases[1], device)
        errors["two in flight"] = _two_in_flight(run, cases[:2], device)
    return errors


def _allowed(dtype: torch.dtype, rounded: float) -> float:
    rounding = torch.finfo(dtype).eps / 2
    exact = 100 * rounding if dtype in (torch.float32, torch.float64) else 0.0
    return min(max(exact, 2 * rounded + rounding), _LARGEST)


@dataclass(frozen=True)
class _Case:
    """Inputs, the gradient of the output, and what the reference makes of them in float64."""

    inputs: list[Tensor]
    upstream: Tensor
    truth: list[Tensor]
    differentiable: bool

    @classmethod
    def drawn(cls, subject: Subject, dtype: torch.dtype, seed: int) -> "_Case":
        generator = torch.Generator().manual_seed(seed)

        def draw(shape: Sequence[int]) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

        scales = subject.scales or [1.0] * len(subject.shapes)
        inputs = [draw(shape) * scale for shape, scale in zip(subject.shapes, scales, strict=True)]
        exact = [tensor.clone().double() for tensor in inputs]
        for tensor in exact:
            tensor.requires_grad_(subject.differentiable)
        with torch.enable_grad(), torch.autocast("cpu", enabled=False):
            value = subject.reference(*exact)
            upstream = draw(value.shape)
            truth = [value.detach()]
            if subject.differentiable:
                truth += torch.autograd.grad(value, exact, upstream.double())
        return cls(inputs, upstream, truth, subject.differentiable)

    def on(self, device: torch.device) -> list[Tensor]:
        """Return the inputs on a device, in memory of their own."""
        copies = [tensor.clone().to(device) for tensor in self.inputs]
        return [tensor.requires_grad_(self.differentiable) for tensor in copies]


def _results(run: Function, inputs: list[Tensor], case: _Case) -> list[Tensor]:
    with torch.enable_grad():
        value = run(*inputs)
        if not case.differentiable:
            return [value.clone()]
        upstream = case.upstream.to(value)
        return [value.detach().clone(), *torch.autograd.grad(value, inputs, upstream)]


def _graph_kept(run: Function, case: _Case, device: torch.device) -> float:
    """Go back twice through one graph, the second time with another gradient of the output."""
    inputs = case.on(device)
    with torch.enable_grad():
        value = run(*inputs)
        upstream = case.upstream.to(value)
        first = _error(torch.autograd.grad(value, inputs, upstream, True), case.truth[1:])
        again = torch.autograd.grad(value, inputs, -2 * upstream)
    return max(first, _error(again, [-2 * gradient for gradient in case.truth[1:]]))


def _accumulated(run: Function, case: _Case, device: torch.device) -> float:
    """Add the gradients of two passes in `.grad`, as accumulate_grad_batches=2 does."""
    inputs = case.on(device)
    with torch.enable_grad():
        for factor in (1, 3):
            value = run(*inputs)
            value.backward(factor * case.upstream.to(value))
    sums = [torch.zeros_like(one) if one.grad is None else one.grad for one in inputs]
    return _error(sums, [4 * gradient for gradient in case.truth[1:]])


def _two_in_flight(run: Function, cases: Sequence[_Case], device: torch.device) -> float:
    inputs = [case.on(device) for case in cases]
    errors = []
    with torch.enable_grad():
        values = [run(*given) for given in inputs]
        for case, given, value in zip(cases, inputs, values, strict=True):
            gradients = torch.autograd.grad(value, given, case.upstream.to(value))
            errors.append(_error([value.detach(), *gradients], case.truth))
    return max(errors)


def _error(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    worst = 0.0
    for mine, true in zip(ours, theirs, strict=True):
        if mine.shape != true.shape or not mine.isfinite().all():
            return float("inf")
        if true.numel():
            scale = max(true.abs().max().item(), 1.0)
            worst = max(worst, (mine.cpu().double() - true).abs().max().item() / scale)
    return worst
