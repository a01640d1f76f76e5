"""What is made of compilers that fail: here they are shell scripts that count their starts."""

import logging
import shutil
from pathlib import Path

import pytest
import torch

from pixelrnn.errors import CompilerError
from pixelrnn.models import RowLSTM
from pixelrnn.native import compiler
from pixelrnn.ops import few_rows
from pixelrnn.ops.conv_lstm import cell

SOURCE = few_rows.SOURCE


@pytest.fixture
def compiler_script(monkeypatch, tmp_path):
    """Return a function that installs a compiler, and returns a function that counts its starts."""

    def install(body):
        script, starts = tmp_path / "compiler", tmp_path / "starts"
        script.write_text(f'#!/bin/sh\necho "$@" >> {starts}\n{body}\n')
        script.chmod(0o755)
        monkeypatch.setenv("CXX", str(script))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        compiler.forget()
        cell.cell_for.cache_clear()
        return lambda: len(starts.read_text().splitlines())

    yield install
    compiler.forget()
    cell.cell_for.cache_clear()


FAILS = 'echo "unsupported option" >&2; exit 1'
FAILS_AT_FILES = f'case "$*" in *.o*) {FAILS};; esac'
NO_OPENMP = f'case " $* " in *" -fopenmp "*) {FAILS};; esac\nexec {shutil.which("c++")} "$@"'


@pytest.mark.parametrize("body", [FAILS, FAILS_AT_FILES])
def test_a_compiler_that_failed_is_not_started_again(compiler_script, body):
    """The demo's network asks for its kernels in every layer of every step."""
    starts = compiler_script(body)
    model = RowLSTM((1, 3, 3), 2, hidden=4, layers=2, head_width=4, first_kernel_size=3)
    images = torch.zeros(2, 1, 3, 3, dtype=torch.uint8)
    counts = []
    for _ in range(2):
        model.log_prob(images).sum().backward()
        model.sample(1)
        counts.append(starts())
    assert counts[0] == counts[1] > 0


def test_every_asker_hears_why(compiler_script):
    starts = compiler_script(FAILS)
    for _ in range(3):
        with pytest.raises(CompilerError, match="unsupported option"):
            compiler.library(SOURCE)
    assert starts() == 2  # with OpenMP, and without


def test_a_compiler_without_openmp_builds_for_one_thread(compiler_script, caplog):
    """As the C++ compiler of macOS: its products are the same bits."""
    torch.manual_seed(0)
    weight, x, start = torch.randn(40, 50), torch.randn(5, 40), torch.zeros(5, 50)
    expected, out = torch.empty(2, 5, 50).unbind()
    few_rows.NativeProduct(weight).add(expected, start)(x)
    compiler_script(NO_OPENMP)
    caplog.set_level(logging.WARNING)
    few_rows.NativeProduct(weight).add(out, start)(x)
    assert cell.cell_for("native", "cpu", torch.float32).name == "native"
    assert torch.equal(out, expected)
    (record,) = caplog.records
    assert "one thread" in record.message


def test_a_source_that_cannot_be_compiled(tmp_path):
    broken = Path(tmp_path, "broken.cpp")
    broken.write_text("this is not C++")
    with pytest.raises(CompilerError, match="failed"):
        compiler.library(broken)


def test_a_header_of_another_folder_counts(tmp_path, monkeypatch):
    """What is built of it is found by its content, too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    header, source = tmp_path / "inner" / "number.hpp", tmp_path / "answer.cpp"
    header.parent.mkdir()
    source.write_text('#include "inner/number.hpp"\nextern "C" int answer() { return number; }\n')
    for number in (1, 2):
        header.write_text(f"constexpr int number = {number};\n")
        compiler.forget()
        assert compiler.library(source).answer() == number
