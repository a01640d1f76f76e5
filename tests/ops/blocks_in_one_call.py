"""What the tests of stacks of blocks have in common: values, gradients, and how close they are."""

import torch


def leaf(given, dtype):
    """A tensor, a pair of tensors or None, as leaves of the graph in another dtype."""
    if given is None:
        return None
    if isinstance(given, tuple):
        return tuple(leaf(tensor, dtype) for tensor in given)
    return given.detach().to(dtype).requires_grad_()


def in_dtype(x, blocks, dtype):
    """The same numbers as leaves in another dtype."""
    return leaf(x, dtype), [type(block)(*(leaf(of, dtype) for of in block)) for block in blocks]


def tensors(blocks):
    """All weights of all blocks."""
    parts = [part for block in blocks for part in block if part is not None]
    return [t for part in parts for t in (part if isinstance(part, tuple) else (part,))]


def values_and_gradients(function, x, blocks, residual=True, use=("y", "total"), **options):
    """Outputs, and the gradients of x and all weights of a fixed function of those used."""
    y, total = function(x, blocks, residual, **options)
    outputs = [of for name, of in (("y", y), ("total", total)) if name in use and of is not None]
    upstream = torch.arange(y.numel(), device=y.device).reshape(y.shape).to(y.dtype).cos()
    loss = sum((of * (upstream + n)).sum() for n, of in enumerate(outputs))
    given = (x, *tensors(blocks))
    return [*outputs, *torch.autograd.grad(loss, given, allow_unused=True)]


def assert_close(found, exact):
    """Rounding of sums of up to some thousand terms near 1, through a few layers."""
    for ours, theirs in zip(found, exact, strict=True):
        if theirs is None:  # not seen: no gradient, or zeros
            assert ours is None or not ours.any()
            continue
        scale = theirs.abs().max().item() + 1e-3
        assert ours.shape == theirs.shape
        assert (ours.double() - theirs.double()).abs().max().item() < 1e-5 * scale
