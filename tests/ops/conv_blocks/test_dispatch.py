"""The C++ code equals the reference, which is computed in float64 wherever rounding counts."""

import pytest
import torch

from pixelrnn import threads
from pixelrnn.native import compiler
from pixelrnn.ops import choices
from pixelrnn.ops.conv_blocks import dispatch, reference
from pixelrnn.ops.conv_blocks.reference import BlockWeights
from tests.ops.blocks_in_one_call import assert_close, in_dtype, leaf, tensors, values_and_gradients

SIZES = [  # H, W, B, h, k: edges, odd sizes, several chunks of a row, every width of `product`
    (1, 1, 1, 1, 1),
    (1, 7, 2, 8, 3),
    (7, 1, 1, 20, 5),
    (2, 3, 1, 3, 7),
    (5, 6, 3, 16, 3),
    (3, 7, 40, 32, 3),
    (4, 5, 3, 64, 3),
    (2, 3, 2, 128, 3),
    (2, 2, 1, 130, 3),
]


def draw(size, blocks=2, skip=True, rows=None, dtype=torch.float32):
    """An input, and weights that keep features near 1; in float64 they are the same numbers."""
    height, width, batch, h, k = size
    rows = k if rows is None else rows

    def weight(*shape):
        fan_in = shape[1] * (1 if shape[2:] == (1, 1) else (k * k + 1) // 2)
        return torch.randn(shape) / fan_in**0.5, torch.randn(shape[0]) / 4

    each = [(h, 2 * h, 1, 1), (h, h, rows, k), (2 * h, h, 1, 1), (2 * h, 2 * h, 1, 1)]
    drawn = [[weight(*shape) for shape in each[: 4 if skip else 3]] for _ in range(blocks)]
    x = torch.randn(height, width, batch, 2 * h)
    return in_dtype(x, [BlockWeights(*block) for block in drawn], dtype)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_reference(size, skip, residual):
    x, blocks = draw(size, skip=skip)
    assert dispatch.served(x, blocks[0].down[0])
    found = values_and_gradients(dispatch.conv_blocks, x, blocks, residual)
    exact = values_and_gradients(reference.stack, *in_dtype(x, blocks, torch.float64), residual)
    assert_close(found, exact)


@pytest.mark.parametrize("use", [("y",), ("total",)], ids=str)
def test_one_output_alone(use):
    x, blocks = draw((3, 4, 2, 8, 3), blocks=3)
    found = values_and_gradients(dispatch.conv_blocks, x, blocks, use=use)
    assert_close(
        found, values_and_gradients(reference.stack, *in_dtype(x, blocks, torch.float64), use=use)
    )


def test_weights_without_later_rows_and_without_the_last_axes():
    x, blocks = draw((4, 5, 2, 8, 5), rows=3)
    blocks = [
        BlockWeights(
            *((w.detach().flatten(1).requires_grad_() if w.shape[-1] == 1 else w, b) for w, b in of)
        )
        for of in blocks
    ]
    found = values_and_gradients(dispatch.conv_blocks, x, blocks)
    assert_close(found, values_and_gradients(reference.stack, *in_dtype(x, blocks, torch.float64)))


def test_later_taps_are_not_used_and_get_no_gradient():
    x, blocks = draw((4, 5, 2, 8, 3))
    with torch.no_grad():
        for block in blocks:
            block.conv[0].flatten(2)[..., 5:] = torch.nan
    found = values_and_gradients(dispatch.conv_blocks, x, blocks)
    assert all(tensor.isfinite().all() for tensor in found)
    gradient = found[2 + 1 + 2]  # outputs; x; weight and bias of the first 1x1
    assert gradient.shape == (8, 8, 3, 3)
    assert not gradient.flatten(2)[..., 5:].any()
    assert gradient.flatten(2)[..., :5].any(0).all()


@pytest.mark.parametrize("what", ["transposed", "every second", "weights"])
def test_what_is_not_contiguous(what):
    x, blocks = draw((4, 4, 2, 8, 3))
    if what == "transposed":
        x = leaf(x.transpose(0, 1), torch.float32)
    elif what == "every second":
        x = x.detach().repeat_interleave(2, dim=2)[:, :, ::2].requires_grad_()
    else:
        down = blocks[0].down[0].detach().flatten(1).t().contiguous().t().requires_grad_()
        blocks[0] = blocks[0]._replace(down=(down, blocks[0].down[1]))
        assert not down.is_contiguous()
    assert what == "weights" or not x.is_contiguous()
    found = values_and_gradients(dispatch.conv_blocks, x, blocks)
    assert_close(found, values_and_gradients(reference.stack, *in_dtype(x, blocks, torch.float64)))


def test_the_gradient_of_expanded_outputs():
    """What comes back need not be contiguous."""
    x, blocks = draw((3, 4, 2, 8, 3))
    y, total = dispatch.conv_blocks(x, blocks)
    (found,) = torch.autograd.grad(y.sum() + total.sum(), x)
    exact_x, exact = in_dtype(x, blocks, torch.float64)
    y, total = reference.stack(exact_x, exact)
    (expected,) = torch.autograd.grad(y.sum() + total.sum(), exact_x)
    assert_close([found], [expected])


def test_without_gradients_and_with_some():
    x, blocks = draw((5, 4, 3, 16, 3), blocks=3)
    kept = dispatch.conv_blocks(x, blocks)
    with torch.no_grad():
        assert all(map(torch.equal, dispatch.conv_blocks(x, blocks), kept))
    frozen = [BlockWeights(*((w.detach(), b) for w, b in block)) for block in blocks]
    y, total = dispatch.conv_blocks(x.detach(), frozen)
    (y.sum() + total.sum()).backward()
    assert all(block.conv[1].grad.any() for block in frozen)


def test_recomputing_gives_the_same_bits():
    x, blocks = draw((5, 4, 3, 16, 3), blocks=3)
    kept = values_and_gradients(dispatch.conv_blocks, x, blocks)
    again = values_and_gradients(dispatch.conv_blocks, x, blocks, recompute=True)
    assert all(map(torch.equal, again, kept))


@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(count):
    """The products of weights alone are torch's: without skips there are none."""
    x, blocks = draw((12, 12, 16, 16, 3), skip=False)
    with threads.limited(1):
        one = values_and_gradients(dispatch.conv_blocks, x, blocks)
    with threads.limited(count):
        several = values_and_gradients(dispatch.conv_blocks, x, blocks)
    assert all(map(torch.equal, several, one))


def test_an_image_gives_the_same_bits_in_any_batch():
    x, blocks = draw((6, 7, 30, 16, 3), skip=False)
    with torch.no_grad():
        together, _ = dispatch.conv_blocks(x, blocks)
        for members in (slice(3, 4), slice(7, 30)):
            alone, _ = dispatch.conv_blocks(x[:, :, members], blocks)
            assert torch.equal(alone, together[:, :, members])


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("hidden", [6, 8])  # 2h = 16 features need no filling up
def test_second_derivatives_are_those_of_the_reference(hidden, frozen):
    x, blocks = draw((3, 3, 2, hidden, 3))
    exact = in_dtype(x, blocks, torch.float64)
    found = []
    for function, (of, weights) in (
        (dispatch.conv_blocks, (x, blocks)),
        (reference.stack, exact),
    ):
        weights[0].conv[0].requires_grad_(not frozen)
        y, total = function(of.transpose(0, 1), weights)  # also of what does not lie in one piece
        loss = (y.square() + total.sin()).sum()
        (gradient,) = torch.autograd.grad(loss, of, create_graph=True)
        given = [of, *(weight for weight in tensors(weights) if weight.requires_grad)]
        found.append(torch.autograd.grad(gradient.square().sum(), given, allow_unused=True))
    assert_close(*found)


def test_what_is_not_a_number_stays_so():
    """A training step whose loss is not finite must be seen to be so."""
    x, blocks = draw((3, 3, 2, 8, 3))
    with torch.no_grad():
        x[0, 0, 0, 3] = torch.nan
        y, total = dispatch.conv_blocks(x, blocks)
    assert y[0, 0, 0].isnan().all()
    assert total[2, 2, 0].isnan().all()
    assert y[:, :, 1].isfinite().all()
    assert total[:, :, 1].isfinite().all()


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_dtypes_and_no_images_take_the_reference(dtype, batch):
    x, blocks = draw((3, 4, batch, 8, 3), dtype=dtype)
    assert not dispatch.served(x, blocks[0].down[0])
    found = values_and_gradients(dispatch.conv_blocks, x, blocks)
    exact = values_and_gradients(reference.stack, x, blocks)
    assert all(map(torch.equal, found, exact))
    assert found[0].dtype == dtype


def test_no_images_in_float32():
    x, blocks = draw((3, 4, 0, 8, 3))
    found = values_and_gradients(dispatch.conv_blocks, x, blocks)
    assert all(not tensor.any() for tensor in found)


def test_autocast_is_left_to_torch():
    x, blocks = draw((3, 4, 2, 8, 3))
    with torch.autocast("cpu", torch.bfloat16):
        assert not dispatch.served(x, blocks[0].down[0])


def test_without_a_compiler_torch_computes(monkeypatch):
    x, blocks = draw((3, 4, 2, 8, 3))
    fast = values_and_gradients(dispatch.conv_blocks, x, blocks)
    monkeypatch.setattr(compiler, "_outcome", lambda _: "no C++ compiler")
    assert not dispatch.served(x, blocks[0].down[0])
    assert_close(values_and_gradients(dispatch.conv_blocks, x, blocks), fast)


def test_it_is_noted_which_code_runs():
    x, blocks = draw((3, 4, 2, 8, 3))
    choices.forget()
    for _ in range(2):
        dispatch.conv_blocks(x, blocks)
    with torch.autocast("cpu", torch.bfloat16):
        dispatch.conv_blocks(x, blocks)
    assert choices.lines() == [
        "conv_blocks kernel: native",
        "conv_blocks kernel: torch (autocast)",
    ]
