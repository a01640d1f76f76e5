"""Builds a C++ file with the machine's own compiler, once.

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
from functools import lru_cache
from pathlib import Path

from pixelrnn.errors import CompilerError

FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fPIC", "-fopenmp"]


@lru_cache
def library(source: Path) -> ctypes.CDLL:
    """The library of a C++ file, which may include headers (`.hpp`) of its folder.

    Raises:
        CompilerError: no compiler, or it failed.
    """
    compiler = _compiler()
    try:
        macros = _output([*compiler, *FLAGS, "-x", "c++", "-dM", "-E", os.devnull])
        headers = sorted(source.parent.glob("*.hpp"))
        texts = [path.read_bytes() for path in (source, *headers)]
        key = hashlib.sha256(b"".join([*texts, macros, shlex.join(FLAGS).encode()]))
        name = f"{source.stem}-{key.hexdigest()[:16]}.so"
        return ctypes.CDLL(str(_built(compiler, source, name)), mode=os.RTLD_NOW)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise CompilerError(f"{compiler[0]} failed: {said[0] if said else error}") from error
    except OSError as error:
        raise CompilerError(f"building the native {source.stem} failed: {error}") from error


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
