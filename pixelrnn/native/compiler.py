"""Builds C++ files with the machine's own compiler and loads them, each once per process.

A library is kept in the user's cache under a name made from its source, the flags and what the
compiler makes of this CPU, so that machines that share a home directory do not share machine code.
A failure is kept as well: a compiler that cannot build a file is not started again for it.
"""

import ctypes
import hashlib
import itertools
import logging
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pixelrnn.errors import CompilerError

log = logging.getLogger(__name__)

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
THREADS, NO_THREADS = "-fopenmp", "-fopenmp-simd"
"""With the second, `omp simd` still vectorises, and `omp parallel` does nothing."""

INSTRUCTIONS = (
    (b"__AVX512F__", "AVX-512"),
    (b"__AVX2__", "AVX2"),
    (b"__AVX__", "AVX"),
    (b"__SSE2__", "SSE2"),
    (b"__ARM_FEATURE_SVE", "SVE"),
    (b"__ARM_NEON", "NEON"),
)
"""What a compiler predefines for vector instructions, widest first, and their names."""


class _Toolchain(NamedTuple):
    """What builds every library of this process."""

    command: list[str]
    flags: list[str]
    macros: bytes  # what the compiler predefines: they tell CPUs apart


def library(source: Path) -> ctypes.CDLL:
    """Return the library of a C++ file, which may include headers by a path relative to it.

    Raises:
        CompilerError: There is no compiler, or it failed, now or when it was first asked.
    """
    found = _outcome(source)
    if isinstance(found, str):
        raise CompilerError(found)
    return found


def available(source: Path, otherwise: str) -> bool:
    """Tell whether `library` has this file; if not, one line in the log says why.

    Args:
        source: A C++ file.
        otherwise: What happens without it, for the log.
    """
    found = _outcome(source)
    if isinstance(found, str):
        _warn_once(f"{otherwise} ({found})")
        return False
    return True


@lru_cache
def _outcome(source: Path) -> ctypes.CDLL | str:
    """Return the library, or the reason why there is none."""
    try:
        toolchain = _toolchain()
        texts = _texts(source)
        flags = shlex.join(toolchain.flags).encode()
        key = hashlib.sha256(b"".join([*texts, toolchain.macros, flags]))
        name = f"{source.stem}-{key.hexdigest()[:16]}.so"
        return ctypes.CDLL(str(_built(toolchain, source, name)), mode=os.RTLD_NOW)
    except CompilerError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        return f"{error.cmd[0]} failed: {said[0] if said else f'exit status {error.returncode}'}"
    except OSError as error:
        return f"building the native {source.stem} failed: {error}"


def _texts(source: Path) -> list[bytes]:
    """Return a C++ file and the headers that it includes by a relative path, and they in turn."""
    text = source.read_bytes()
    names = re.findall(rb'^#include "(.+)"$', text, re.MULTILINE)
    headers = [_texts(source.parent / name.decode()) for name in names]
    return [text, *itertools.chain.from_iterable(headers)]


@lru_cache
def _toolchain() -> _Toolchain:
    """Return the compiler and the flags that it takes; without OpenMP, one line in the log."""
    command = _compiler()
    flags = [*FLAGS, THREADS]
    try:
        return _Toolchain(command, flags, _macros(command, flags))
    except subprocess.CalledProcessError:
        flags = [*FLAGS, NO_THREADS]
        toolchain = _Toolchain(command, flags, _macros(command, flags))
    log.warning("%s does not take %s: native code runs on one thread", command[0], THREADS)
    return toolchain


class Description(NamedTuple):
    """What builds the native code.

    Attributes:
        command: as it is called.
        version: the first line that it says of itself.
        instructions: the widest vector instructions that it uses for this CPU.
        threads: whether it builds code for several threads.
    """

    command: str
    version: str
    instructions: str
    threads: bool


def description() -> Description:
    """Describe the compiler of this machine.

    Raises:
        CompilerError: There is none, or it does not work.
    """
    try:
        toolchain = _toolchain()
        version = _output([*toolchain.command, "--version"]).decode(errors="replace")
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompilerError(f"the C++ compiler does not work: {error}") from error
    return Description(
        shlex.join(toolchain.command),
        next(iter(version.strip().splitlines()), ""),
        next((name for macro, name in INSTRUCTIONS if macro in toolchain.macros), "none found"),
        THREADS in toolchain.flags,
    )


def _compiler() -> list[str]:
    """Return the command of $CXX, or the first C++ compiler found."""
    for command in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    raise CompilerError("no C++ compiler: install g++, or set CXX")


def _macros(command: list[str], flags: list[str]) -> bytes:
    return _output([*command, *flags, "-x", "c++", "-dM", "-E", os.devnull])


def _built(toolchain: _Toolchain, source: Path, name: str) -> Path:
    """Return the library's path; it is built aside and moved, so that no half one is seen."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelrnn"
    target = cache / name
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    compiler, flags, _ = toolchain
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        compiled, linked = Path(folder, "compiled.o"), Path(folder, name)
        _output([*compiler, *flags, "-c", str(source), "-o", str(compiled)])
        # Linked without -fopenmp: the symbols come from the OpenMP that torch has loaded. A second
        # one would bring threads of its own, which fight with torch's for the cores.
        _output([*compiler, "-shared", str(compiled), "-o", str(linked)])
        os.replace(linked, target)
    return target


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


@lru_cache
def _warn_once(text: str) -> None:
    log.warning("%s", text)


def forget() -> None:
    """Forget what was built, what failed and what was said, as a new process would."""
    for cache in (_outcome, _toolchain, _warn_once):
        cache.cache_clear()
