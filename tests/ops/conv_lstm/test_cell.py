import logging
import warnings

import pytest
import torch

from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops.conv_lstm import cell
from pixelrnn.ops.conv_lstm.reference import equation_3

PLAIN = cell.PLAIN


@pytest.fixture(autouse=True)
def _choices_are_forgotten():
    cell.cell_for.cache_clear()
    yield
    cell.cell_for.cache_clear()
    compiler.forget()


def both_passes(chosen, dtype, spread=3.0, features=19, batch=3):
    state = cell.state_dtype(dtype)
    draw = torch.Generator().manual_seed(0)

    def line(width, dtype):
        wide = torch.randn(2, 7, batch, width, generator=draw, dtype=torch.float64) * spread
        return wide.to(dtype)[:, 1:6]

    gates, products = line(4 * features, dtype), line(4 * features, dtype)
    before, after, hidden = line(features, state), line(features, state), line(features, dtype)
    chosen.forward(gates, products, before, after, hidden)
    grads, separate = torch.zeros_like(products), torch.zeros_like(gates)
    upstream, recurrent = line(features, dtype), line(features, dtype)
    grad_cell = line(features, state)
    chosen.backward(products, grads, separate, before, after, upstream, recurrent, grad_cell)
    return products, after, hidden, grads, separate, grad_cell


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 2**-7)],
    ids=str,
)
@pytest.mark.parametrize("spread", [0.01, 3.0, 100.0])
def test_native_equals_plain(dtype, tolerance, spread):
    ours = both_passes(cell.cell_for("native", "cpu", dtype), dtype, spread)
    for a, b in zip(ours, both_passes(PLAIN, dtype, spread), strict=True):
        # 1 - o of an o near 1 carries the rounding of 1, times gradients as large as the largest.
        scale = b.abs().max().clamp(min=1).double()
        assert (a.double() - b.double()).abs().max() <= tolerance * scale


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_native_takes_an_empty_batch(dtype):
    ours = both_passes(cell.cell_for("native", "cpu", dtype), dtype, batch=0)
    theirs = both_passes(PLAIN, dtype, batch=0)
    assert [tensor.shape for tensor in ours] == [tensor.shape for tensor in theirs]


def test_native_passes_nan_on():
    chosen = cell.cell_for("native", "cpu", torch.float32)
    gates = torch.full((1, 1, 1, 4), torch.nan)
    products, before = torch.zeros_like(gates), torch.zeros(1, 1, 1, 1)
    after, hidden = torch.zeros_like(before), torch.zeros_like(before)
    chosen.forward(gates, products, before, after, hidden)
    assert torch.stack([after, hidden]).isnan().all()


def _no_compiler():
    raise CompilerError("no C++ compiler: install g++, or set CXX")


def test_without_a_compiler_one_clear_line(monkeypatch, caplog):
    compiler.forget()
    monkeypatch.setattr(compiler, "_compiler", _no_compiler)
    for _ in range(3):
        chosen = cell.cell_for("auto", "cpu", torch.float32)
    assert chosen.name == "none"
    lines = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(lines) == 1
    assert "no C++ compiler" in lines[0]
    with pytest.raises(CompilerError, match="install g"):
        cell.cell_for("native", "cpu", torch.float32)


@pytest.mark.parametrize("command", ["false", "true"])
def test_a_broken_compiler_falls_back(monkeypatch, caplog, tmp_path, command):
    compiler.forget()
    monkeypatch.setenv("CXX", command)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cell.cell_for("auto", "cpu", torch.float32).name == "none"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("broken", ["forward", "backward"])
def test_inductor_is_tried_out_in_both_passes(monkeypatch, broken):
    """A pass that cannot be compiled shows when the cell is chosen, not in the middle of a step."""

    def fails(*_):
        raise RuntimeError("no Triton here")

    functions = {cell.activate: "forward", cell.equation_3_backward: "backward"}
    monkeypatch.setattr(torch, "compile", lambda f: fails if functions[f] == broken else f)
    with pytest.raises(CompilerError, match="no Triton here"):
        cell.cell_for("inductor", "cpu", torch.float32)


def test_the_library_is_built_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        compiler.forget()
        cell.cell_for.cache_clear()
        cell.cell_for("native", "cpu", torch.float32)
    (built,) = (tmp_path / "pixelrnn").iterdir()
    assert built.suffix == ".so"


def test_auto_is_plain_where_nothing_else_has_been_shown(caplog):
    assert cell.cell_for("auto", "cuda", torch.float32) is cell.PLAIN
    assert not caplog.records


def test_the_derivative_is_that_of_equation_3():
    draw = torch.Generator().manual_seed(0)
    gates = torch.randn(2, 5, 3, 4 * 7, generator=draw, dtype=torch.float64, requires_grad=True)
    c = torch.randn(2, 5, 3, 7, generator=draw, dtype=torch.float64, requires_grad=True)
    grad_c, *grads_h = torch.randn(3, 2, 5, 3, 7, generator=draw, dtype=torch.float64)
    output = equation_3(gates, c)
    theirs = torch.autograd.grad((output.c, output.h), (gates, c), (grad_c, sum(grads_h)))
    ours = cell.equation_3_backward(torch.cat(output[:4], -1), c, output.c, *grads_h, grad_c)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(ours, theirs, strict=True))


def test_native_is_for_cpus():
    with pytest.raises(CompilerError, match="CPUs only"):
        cell.cell_for("native", "cuda", torch.float32)


@pytest.mark.slow
def test_inductor_equals_plain():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        chosen = cell.cell_for("inductor", "cpu", torch.float32)
        ours = both_passes(chosen, torch.float32)
    for a, b in zip(ours, both_passes(PLAIN, torch.float32), strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-5)
