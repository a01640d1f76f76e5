"""Each situation of the check finds a fault that all others let pass."""

import math

import pytest
import torch

from pixelrnn.ops import self_check

SITUATIONS = [
    "first values",
    "new values",
    "other memory",
    "without gradients",
    "graph kept",
    "accumulated",
    "two in flight",
]


def product(x, w):
    return (x @ w).tanh()


class Product(torch.autograd.Function):
    """`product` with a backward pass by hand, in which faults are planted."""

    fault = None
    memory = None

    @classmethod
    def planted(cls, fault):
        return type(fault or "sound", (cls,), {"fault": fault, "memory": {}})

    @classmethod
    def forward(cls, ctx, x, w):
        y = product(cls.seen("x", x), w)
        saved = y.clone()
        if cls.fault == "two in flight":
            saved = cls.memory.setdefault(y.shape, saved).copy_(saved)
        ctx.saved = x, w, saved
        return y * 1.01 if cls.fault == "first values" else y

    @classmethod
    def seen(cls, name, x):
        """What the product reads: values, or an address, of earlier inputs."""
        x = x.detach()
        if cls.fault == "new values":
            key = name, x.data_ptr()
            held, values = cls.memory.setdefault(key, (x, x.clone()))
            return values if held.data_ptr() == x.data_ptr() else x
        if cls.fault == "other memory":
            return cls.memory.setdefault((name, x.shape), x)
        return x

    @classmethod
    def backward(cls, ctx, grad):
        x, w, y = ctx.saved
        inner = grad * (1 - y * y)
        if cls.fault == "graph kept":
            y.zero_()
        gradients = inner @ w.t(), x.t() @ inner
        if cls.fault == "accumulated":
            gradients = tuple(
                cls.memory.setdefault(i, g).copy_(g).detach() for i, g in enumerate(gradients)
            )
        return gradients


def subject(fault=None):
    return self_check.Subject(run(Product.planted(fault)), product, [(3, 4), (4, 5)])


def run(function):
    def call(x, w):
        if function.fault == "without gradients" and not torch.is_grad_enabled():
            return product(x, w) * 1.01
        return function.apply(x, w)

    return call


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_sound_implementation_passes(dtype):
    found = self_check.check(subject(), dtype, torch.device("cpu"))
    assert list(found.errors) == SITUATIONS
    assert found.passed
    assert found.fault is None


@pytest.mark.parametrize("fault", SITUATIONS)
def test_each_situation_finds_what_the_others_let_pass(fault):
    found = self_check.check(subject(fault), torch.float64, torch.device("cpu"))
    wrong = [name for name, error in found.errors.items() if not error <= found.allowed]
    if fault in ("first values", "other memory"):  # wrong from here on
        assert wrong[0] == fault
    else:
        assert wrong == [fault]
    assert found.fault is not None
    assert not found.passed


def test_bfloat16_is_measured_by_what_the_reference_loses_in_it():
    wrong = self_check.Subject(lambda x, w: product(x, w) * 1.06, product, [(3, 4), (4, 5)])
    assert not self_check.check(wrong, torch.bfloat16, torch.device("cpu")).passed


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_a_fault(value):
    wrong = self_check.Subject(lambda x: x * value, lambda x: x, [(2, 3)])
    found = self_check.check(wrong, torch.float32, torch.device("cpu"))
    assert math.isinf(found.worst)


def test_without_a_backward_pass_values_are_compared():
    plain = self_check.Subject(lambda x: x.detach() + 1, lambda x: x + 1, [(2, 3)], False)
    found = self_check.check(plain, torch.float32, torch.device("cpu"))
    assert found.passed
    assert list(found.errors) == SITUATIONS[:3]
    wrong = self_check.Subject(lambda x: x.detach() + 1.001, lambda x: x + 1, [(2, 3)], False)
    assert not self_check.check(wrong, torch.float32, torch.device("cpu")).passed
