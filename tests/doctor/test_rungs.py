"""The doctor's list is whole, and a kernel that is wrong is found by it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import pixelrnn
from pixelrnn.doctor import kernels, rungs
from pixelrnn.native import compiler
from pixelrnn.ops import few_rows, native_taps, tap_conv
from pixelrnn.ops.conv_lstm import cell, dispatch, loops

CPU = torch.device("cpu")
PACKAGE = Path(pixelrnn.__file__).parent


def named(text):
    (rung,) = [rung for rung in rungs.rungs() if rung.name == text]
    return rung


def states(rung):
    return [finding.state for finding in kernels._of(rung, CPU)]


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch):
    monkeypatch.setattr(kernels.timing, "medians", lambda work, *_: dict.fromkeys(work, 1.0))


def test_every_native_file_is_proven():
    files = set(PACKAGE.rglob("*.cpp"))
    assert files == {rung.source for rung in rungs.rungs()} - {None}


def test_every_rung_of_the_recurrence_is_proven():
    """Graphs have lines of their own, as they need a GPU."""
    names = " ".join(rung.name for rung in rungs.rungs())
    for rung in dispatch.RUNGS.keys() - {"cuda_graph"}:
        assert f"row: {rung}" in names
        assert f"diagonal: {rung}" in names


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("layer", ["row", "diagonal"])
def test_a_wrong_cell_is_found(monkeypatch, layer, direction):
    """Half a percent in one of the gates, or in its gradient."""
    honest = cell.PLAIN

    def planted(*tensors):
        getattr(honest, direction)(*tensors)
        tensors[1][..., -1] *= 1.005

    wrong = replace(honest, **{direction: planted})
    rung = named(f"conv_lstm {layer}: autograd, torch cell")
    assert states(rung) == ["ok", "ok"]
    monkeypatch.setattr(loops, "cell_for", lambda *_: wrong)
    first, *_ = kernels._of(rung, CPU)
    assert first.state == "failed"
    assert "WRONG in" in first.text
    assert "kernel.name=reference" in first.advice


def test_a_wrong_gradient_alone_is_found(monkeypatch):
    """Values are right; the gradient of the weight lacks what comes from one tap."""
    honest = tap_conv._weight_gradient

    def planted(*arguments):
        gradient = honest(*arguments)
        gradient[3] = 0
        return gradient

    monkeypatch.setattr(tap_conv, "_weight_gradient", planted)
    assert states(named("tap_conv: products")) == ["failed", "failed"]


def test_a_wrong_native_gradient_is_found(monkeypatch):
    honest = native_taps.backward

    def planted(*arguments):
        grad_x, grad_weight, grad_bias = honest(*arguments)
        return grad_x, grad_weight, 1.01 * grad_bias

    assert states(named("tap_conv: native")) == ["ok"]
    monkeypatch.setattr(native_taps, "backward", planted)
    assert states(named("tap_conv: native")) == ["failed"]


@pytest.mark.slow  # it compiles
def test_wrong_machine_code_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text, right = few_rows.SOURCE.read_text(), "+= w[v] * x[r];"
    assert text.count(right) == 1
    for header in few_rows.SOURCE.parent.glob("*.hpp"):
        (tmp_path / header.name).write_text(header.read_text())
    file = tmp_path / "few_rows.cpp"
    file.write_text(text.replace(right, "+= w[v] * x[r] * 1.001f;"))
    monkeypatch.setattr(few_rows, "SOURCE", file)
    assert states(named("few_rows")) == ["failed"]


def test_what_raises_is_found_and_hides_no_other(monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error: no kernel image is available")

    first, second = named("tap_conv: products"), named("few_rows")
    monkeypatch.setattr(rungs, "rungs", lambda: [replace(first, run=broken), second])
    found = list(kernels.findings(CPU))
    assert [one.state for one in found] == ["failed", "ok"]
    assert "no kernel image" in found[0].text


def test_without_a_compiler_it_is_a_note(monkeypatch):
    monkeypatch.setattr(compiler, "available", lambda *_: False)
    (found,) = kernels._of(named("few_rows"), CPU)
    assert found.state == "note"
    assert "install g++" in found.advice


def test_what_a_device_cannot_run_is_left_out():
    elsewhere = torch.device("meta")
    assert named("few_rows").refusal(elsewhere) == "runs on cpu only"
    assert named("tap_conv: products").refusal(elsewhere) is None


@pytest.mark.parametrize("name", [rung.name for rung in rungs.rungs()])
def test_both_sides_of_a_measurement_do_the_same_work(name):
    """On tensors of the large sizes, here made small."""
    rung = named(name)
    if not rung.large:
        assert "reference" in name
        return
    if name.startswith("conv_lstm"):
        lines = rungs.line_sizes("row" if "row" in name else "diagonal", 2, 3, 3, 4)
        large_run = tuple(
            partial(run.func, *run.args[:-2], *lines.options) for run in rung.large_run
        )
        rung = replace(rung, large=lines.shapes, large_run=large_run)
    else:
        rung = replace(rung, large=rung.small)
    work = rung.work(CPU)
    assert work.keys() == {"this", "reference"}
    for run in work.values():
        run()
