"""Builds the C++ files beside it with the machine's own compiler, once; calls the cell.

A library is kept in the user's cache under a name made from source, flags and what the compiler
makes of this CPU, so that machines that share a home directory do not share machine code.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError

FOLDER = Path(__file__).parent
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fPIC", "-fopenmp"]
NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


def load(dtype: torch.dtype) -> tuple[Callable[..., None], Callable[..., None]]:
    """Forward and backward of `cell`, compiled, for gates of this dtype.

    Raises:
        CompilerError: no compiler, or it failed, or the dtype is not served.
    """
    if dtype not in NAMES:
        raise CompilerError(f"the native cell has no version for {dtype}")
    built = library("cell")
    run_forward = getattr(built, f"forward_{NAMES[dtype]}")
    run_backward = getattr(built, f"backward_{NAMES[dtype]}")

    def forward(*tensors: Tensor) -> None:
        run_forward(*_arguments(tensors))

    def backward(*tensors: Tensor | None) -> None:
        run_backward(*_arguments(tensors))

    return forward, backward


_Size, _Strides, _Pointers = ctypes.c_int64 * 4, ctypes.c_int64 * 16, ctypes.c_void_p * 8


def _arguments(tensors: tuple[Tensor | None, ...]) -> tuple[ctypes.Array, ...]:
    """Size (D, n, B, F), strides of directions and places, addresses.

    Batch and features of every tensor must be contiguous. The third tensor is c: it has F features.
    """
    strides, pointers = [], []
    for tensor in tensors:
        if tensor is None:
            strides += (0, 0)
            pointers.append(None)
        else:
            strides += tensor.stride()[:2]
            pointers.append(tensor.data_ptr())
    size = tensors[-1].shape
    return _Size(*size), _Strides(*strides), _Pointers(*pointers)


@lru_cache
def library(source: str) -> ctypes.CDLL:
    """The library of a C++ file of this folder, named without its suffix.

    Raises:
        CompilerError: no compiler, or it failed.
    """
    compiler = _compiler()
    path = FOLDER / f"{source}.cpp"
    try:
        macros = _output([*compiler, *FLAGS, "-x", "c++", "-dM", "-E", os.devnull])
        texts = [path.read_bytes(), *(header.read_bytes() for header in FOLDER.glob("*.hpp"))]
        key = hashlib.sha256(b"".join([*texts, macros, shlex.join(FLAGS).encode()]))
        name = f"conv_lstm_{source}-{key.hexdigest()[:16]}.so"
        return ctypes.CDLL(str(_built(compiler, path, name)), mode=os.RTLD_NOW)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise CompilerError(f"{compiler[0]} failed: {said[0] if said else error}") from error
    except OSError as error:
        raise CompilerError(f"building the native {source} failed: {error}") from error


def _compiler() -> list[str]:
    """The command of $CXX, or the first C++ compiler found."""
    for command in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    raise CompilerError("no C++ compiler: install g++, or set CXX")


def _built(compiler: list[str], source: Path, name: str) -> Path:
    """Path of the library; built into a temporary folder and moved, so that no half one is seen."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelrnn"
    target = cache / name
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        compiled, linked = Path(folder, "compiled.o"), Path(folder, name)
        _output([*compiler, *FLAGS, "-c", str(source), "-o", str(compiled)])
        # Linked without -fopenmp: the symbols come from the OpenMP that torch has loaded. A second
        # one would bring threads of its own, which fight with torch's for the cores.
        _output([*compiler, "-shared", str(compiled), "-o", str(linked)])
        os.replace(linked, target)
    return target


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout
