import logging

import pytest
import torch

from pixelrnn import threads
from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops import few_rows
from pixelrnn.ops.few_rows import NativeProduct, PlainProduct


@pytest.fixture(autouse=True)
def _choices_are_forgotten():
    compiler.forget()
    yield
    compiler.forget()


def close(got, x, weight, start):
    """Within the rounding of a sum of this many terms, of this size, in any order."""
    exact = start.double() + x.double() @ weight.double()
    sizes = start.double().abs() + x.double().abs() @ weight.double().abs()
    return (got.double() - exact).abs().le((len(weight) + 1) * 2**-24 * sizes).all()


@pytest.mark.parametrize("kind", [NativeProduct, PlainProduct])
@pytest.mark.parametrize("outputs", [0, 1, 16, 17, 32, 33, 100])
@pytest.mark.parametrize("inputs", [0, 1, 43])
@pytest.mark.parametrize("rows", [0, 1, 3, 4, 8, 13, 16, 21])
def test_products(kind, rows, inputs, outputs):
    torch.manual_seed(0)
    weight, x = torch.randn(inputs, outputs), torch.randn(rows, inputs)
    wide = torch.randn(rows, outputs + 2)
    out, before = wide[:, 1:-1], wide.clone()
    kind(weight).add(out)(x)
    assert close(out, x, weight, before[:, 1:-1])
    assert torch.equal(wide[:, [0, -1]], before[:, [0, -1]])

    bias = torch.randn(outputs)
    kind(weight).add(out, bias)(x)
    assert close(out, x, weight, bias)
    kind(weight).add(out, before[:, :-2])(x)
    assert close(out, x, weight, before[:, :-2])


@pytest.mark.parametrize("kind", [NativeProduct, PlainProduct])
def test_a_window_takes_in_what_is_given(kind):
    torch.manual_seed(0)
    weight, x = torch.randn(7, 5), torch.randn(6, 2)
    line, out = torch.randn(6, 20), torch.randn(6, 5)
    expected, start = line.clone(), out.clone()
    expected[:, 8:10] = x
    kind(weight).place_and_add(out, place=line[:, 8:10], window=line[:, 3:10])(x)
    assert torch.equal(line, expected)
    assert close(out, line[:, 3:10], weight, start)

    start = out.clone()
    kind(weight).add_window(out, line[:, 1:8])()
    assert close(out, line[:, 1:8], weight, start)


def test_a_row_depends_neither_on_others_nor_on_threads():
    torch.manual_seed(0)
    weight, x = torch.randn(300, 500), torch.randn(21, 300)
    together, product = torch.zeros(21, 500), NativeProduct(weight)
    assert 21 * 300 * 500 > 1_000_000  # shared out among threads
    with threads.limited(3):
        product.add(together)(x)
    for row in range(21):
        alone = torch.zeros(1, 500)
        product.add(alone)(x[row : row + 1])
        assert torch.equal(alone[0], together[row])


def test_given_rows_may_lie_anywhere():
    torch.manual_seed(0)
    weight, wide = torch.randn(3, 4), torch.randn(3, 10)
    for x in (
        wide.t(),
        wide.t()[:, :3].clone(),
        torch.randn(10, 9)[:, ::3],
        torch.randn(10, 5)[:, 1:4],
    ):
        out = torch.zeros(10, 4)
        NativeProduct(weight).add(out)(x)
        assert close(out, x, weight, torch.zeros(10, 4))


@pytest.mark.parametrize(
    "x", [torch.zeros(2, 4), torch.zeros(3, 3), torch.zeros(2, 3, dtype=torch.float64)], ids=str
)
def test_other_shapes_and_dtypes_are_refused(x):
    with pytest.raises(ValueError, match="expected float32"):
        NativeProduct(torch.zeros(3, 4)).add(torch.zeros(2, 4))(x)


def test_buffers_that_are_no_rows_are_refused():
    with pytest.raises(ValueError, match="contiguous"):
        NativeProduct(torch.zeros(3, 4)).add(torch.zeros(4, 2).t())


def test_what_is_chosen():
    assert isinstance(few_rows.product(torch.zeros(2, 3)), NativeProduct)
    assert isinstance(few_rows.product(torch.zeros(2, 3).double()), PlainProduct)


def test_without_a_compiler_one_line(monkeypatch, caplog):
    def none():
        raise CompilerError("no C++ compiler: install g++, or set CXX")

    monkeypatch.setattr(compiler, "_compiler", none)
    for _ in range(3):
        assert isinstance(few_rows.product(torch.zeros(2, 3)), PlainProduct)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "install g++" in record.message
