"""The C++ code equals the reference, which is computed in float64 wherever rounding counts."""

import pytest
import torch

from pixelrnn import threads
from pixelrnn.native import compiler
from pixelrnn.ops import choices
from pixelrnn.ops.conv_lstm.dispatch import Kernel
from pixelrnn.ops.lstm_blocks import dispatch, reference
from pixelrnn.ops.lstm_blocks.reference import BlockWeights
from tests.ops.blocks_in_one_call import assert_close, in_dtype, leaf, values_and_gradients

SIZES = [  # H, W, B, h: edges, odd sizes, several parts and groups, every width of `product`
    (1, 1, 1, 1),
    (1, 7, 2, 8),
    (7, 1, 3, 20),
    (3, 2, 9, 5),
    (5, 6, 3, 16),
    (2, 28, 19, 16),
    (2, 5, 2, 32),
    (2, 3, 1, 48),
    (2, 2, 1, 64),
]
KINDS = [1, 3, 5, "diagonal"]  # the kernel size of a Row LSTM


def draw(size, kind=3, blocks=2, skip=True, dtype=torch.float32):
    """An input, and weights that keep features near 1; in float64 they are the same numbers."""
    height, width, batch, h = size
    directions, taps, kernel = (2, 2, 1) if kind == "diagonal" else (1, kind, kind)

    def weight(*shape):
        inputs = shape[1] * (kernel // 2 + 1 if len(shape) == 4 and shape[3] > 1 else 1)
        return torch.randn(shape) / inputs**0.5, torch.randn(shape[0]) / 4

    drawn = [
        BlockWeights(
            weight(directions * 4 * h, 2 * h, 1, kernel),
            torch.randn(directions, taps, h, 4 * h) / (taps * h) ** 0.5,
            torch.randn(directions, h) / 2,
            torch.randn(directions, h) / 2,
            weight(2 * h, h, 1, 1),
            weight(2 * h, 2 * h, 1, 1) if skip else None,
        )
        for _ in range(blocks)
    ]
    return in_dtype(torch.randn(height, width, batch, 2 * h), drawn, dtype)


@pytest.mark.parametrize(("skip", "residual"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_reference(size, kind, skip, residual):
    x, blocks = draw(size, kind, skip=skip)
    assert dispatch.served(x, blocks[0].state_to_state, Kernel())
    found = values_and_gradients(dispatch.lstm_blocks, x, blocks, residual)
    exact = values_and_gradients(reference.stack, *in_dtype(x, blocks, torch.float64), residual)
    assert_close(found, exact)


@pytest.mark.parametrize("use", [("y",), ("total",)], ids=str)
@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_one_output_alone(kind, use):
    x, blocks = draw((3, 4, 2, 8), kind, blocks=3)
    found = values_and_gradients(dispatch.lstm_blocks, x, blocks, use=use)
    exact = in_dtype(x, blocks, torch.float64)
    assert_close(found, values_and_gradients(reference.stack, *exact, use=use))


def test_later_taps_are_not_used_and_get_no_gradient():
    x, blocks = draw((3, 6, 2, 8), 5)
    with torch.no_grad():
        for block in blocks:
            block.input_to_state[0][..., 3:] = torch.nan
    found = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    assert all(tensor.isfinite().all() for tensor in found)
    gradient = found[2 + 1]  # after the outputs and x
    assert gradient.shape == (32, 16, 1, 5)
    assert not gradient[..., 3:].any()
    assert gradient[..., :3].any(0).all()


@pytest.mark.parametrize("what", ["transposed", "every second", "weights"])
def test_what_is_not_contiguous(what):
    x, blocks = draw((4, 4, 2, 8))
    if what == "transposed":
        x = leaf(x.transpose(0, 1), torch.float32)
    elif what == "every second":
        x = x.detach().repeat_interleave(2, dim=2)[:, :, ::2].requires_grad_()
    else:
        weight = blocks[0].state_to_state.detach().transpose(1, 2).contiguous().transpose(1, 2)
        blocks[0] = blocks[0]._replace(state_to_state=weight.requires_grad_())
        assert not weight.is_contiguous()
    assert what == "weights" or not x.is_contiguous()
    found = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    exact = values_and_gradients(reference.stack, *in_dtype(x, blocks, torch.float64))
    assert_close(found, exact)


@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_the_gradient_of_expanded_outputs(kind):
    """What comes back need not be contiguous."""
    x, blocks = draw((3, 4, 2, 8), kind)
    y, total = dispatch.lstm_blocks(x, blocks)
    (found,) = torch.autograd.grad(y.sum() + total.sum(), x)
    exact_x, exact = in_dtype(x, blocks, torch.float64)
    y, total = reference.stack(exact_x, exact)
    (expected,) = torch.autograd.grad(y.sum() + total.sum(), exact_x)
    assert_close([found], [expected])


@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_without_gradients_and_with_some(kind):
    x, blocks = draw((5, 4, 9, 16), kind, blocks=3)
    kept = dispatch.lstm_blocks(x, blocks)
    with torch.no_grad():
        assert all(map(torch.equal, dispatch.lstm_blocks(x, blocks), kept))
    frozen = [block._replace(cell=block.cell.detach()) for block in blocks]
    y, total = dispatch.lstm_blocks(x.detach(), frozen)
    (y.sum() + total.sum()).backward()
    assert all(block.cell.grad is None for block in blocks)
    assert all(block.hidden.grad.any() for block in blocks)


@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_recomputing_gives_the_same_bits(kind):
    x, blocks = draw((5, 4, 3, 16), kind, blocks=3)
    kept = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    again = values_and_gradients(dispatch.lstm_blocks, x, blocks, recompute=True)
    assert all(map(torch.equal, again, kept))


@pytest.mark.parametrize("kind", [3, "diagonal"])
@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(count, kind):
    """The products of weights alone are torch's: without skips there are none."""
    x, blocks = draw((6, 28, 33, 16), kind, skip=False)
    with threads.limited(1):
        one = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    with threads.limited(count):
        several = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    assert all(map(torch.equal, several, one))


@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_an_image_gives_the_same_bits_in_any_batch(kind):
    x, blocks = draw((6, 7, 30, 16), kind, skip=False)
    with torch.no_grad():
        together, _ = dispatch.lstm_blocks(x, blocks)
        for members in (slice(3, 4), slice(7, 30)):
            alone, _ = dispatch.lstm_blocks(x[:, :, members], blocks)
            assert torch.equal(alone, together[:, :, members])


@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_what_is_not_a_number_stays_so(kind):
    """A training step whose loss is not finite must be seen to be so."""
    x, blocks = draw((3, 3, 2, 8), kind)
    with torch.no_grad():
        x[0, 1, 0, 3] = torch.nan
        y, total = dispatch.lstm_blocks(x, blocks)
    assert y[0, 1, 0].isnan().all()
    assert total[2, 1, 0].isnan().all()
    assert y[:, :, 1].isfinite().all()
    assert total[:, :, 1].isfinite().all()


@pytest.mark.parametrize("kind", [3, "diagonal"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_dtypes_take_the_reference(dtype, kind):
    x, blocks = draw((3, 4, 2, 8), kind, dtype=dtype)
    assert not dispatch.served(x, blocks[0].state_to_state, Kernel())
    found = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    exact = values_and_gradients(reference.stack, x, blocks)
    assert all(map(torch.equal, found, exact))
    assert found[0].dtype == dtype


@pytest.mark.parametrize("kind", [3, "diagonal"])
def test_no_images(kind):
    x, blocks = draw((3, 4, 0, 8), kind)
    found = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    assert all(not tensor.any() for tensor in found)


def test_a_second_derivative_is_refused():
    x, blocks = draw((3, 3, 2, 6))
    y, _ = dispatch.lstm_blocks(x, blocks)
    with pytest.raises(RuntimeError, match=r"no second derivative .*kernel.name=reference"):
        torch.autograd.grad(y.square().sum(), x, create_graph=True)


def test_what_is_left_to_others():
    x, blocks = draw((3, 4, 2, 8))
    weight = blocks[0].state_to_state
    choices.forget()
    assert dispatch.served(x, weight, "auto")
    assert dispatch.served(x, weight, Kernel(compile="native"))
    assert not dispatch.served(x, weight, "native_loops")
    assert not dispatch.served(x, weight, Kernel(compile="none"))
    wide, of_wide = draw((1, 2, 1, dispatch.MAX_FEATURES + 1), blocks=1)
    assert not dispatch.served(wide, of_wide[0].state_to_state, "auto")
    with torch.autocast("cpu", torch.bfloat16):
        assert not dispatch.served(x, weight, "auto")
    assert choices.lines() == [
        "lstm_blocks kernel: native",
        "lstm_blocks kernel: one by one (kernel.name=native_loops)",
        "lstm_blocks kernel: one by one (kernel.compile=none)",
        f"lstm_blocks kernel: one by one (more than {dispatch.MAX_FEATURES} features)",
        "lstm_blocks kernel: one by one (autocast)",
    ]


def test_without_a_compiler_torch_computes(monkeypatch):
    x, blocks = draw((3, 4, 2, 8))
    fast = values_and_gradients(dispatch.lstm_blocks, x, blocks)
    monkeypatch.setattr(compiler, "_outcome", lambda _: "no C++ compiler")
    assert not dispatch.served(x, blocks[0].state_to_state, "auto")
    assert_close(values_and_gradients(dispatch.lstm_blocks, x, blocks), fast)
