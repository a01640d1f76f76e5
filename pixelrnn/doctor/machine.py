"""What computes here: versions, cores and this process's share of them, memory, the compiler."""

import os
import platform
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from pixelrnn import cores, threads
from pixelrnn.doctor.finding import Finding, found
from pixelrnn.doctor.kernels import BUILD
from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops import timing
from pixelrnn.runs import record

GIB = 1024**3
LITTLE_MEMORY = 1 * GIB
_BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
_SQUARE = 1024


def findings() -> Iterator[Finding]:
    """Yield what is found of the machine and what runs on it."""
    yield from found("versions", _versions, "install pixelrnn and its dependencies anew")
    yield from found("cores", _cores, "set OMP_NUM_THREADS to the cores that you may use")
    yield from found("memory", _memory, "")
    yield from found("compiler", _compiler, BUILD)
    yield from found("bfloat16", partial(bfloat16, torch.device("cpu")), "do not train in bfloat16")


def _versions() -> Iterator[Finding]:
    facts = record.environment()
    packages = facts["versions"] | {"torch": torch.__version__}
    missing = [name for name, version in packages.items() if version is None and name != "pixelrnn"]
    shown = ("torch", "pytorch-lightning", "hydra-core", "wandb")
    text = f"Python {facts['python']}, " + ", ".join(f"{n} {packages[n]}" for n in shown)
    numbers = {"python": facts["python"], "packages": packages, "commit": facts["commit"]}
    if missing:
        advice = f"pip install {' '.join(missing)}"
        yield Finding("versions", "failed", f"missing: {', '.join(missing)}", advice, numbers)
    else:
        yield Finding("versions", "ok", text, numbers=numbers)


def _cores() -> Iterator[Finding]:
    quota, asked = cores.quota(), os.environ.get("OMP_NUM_THREADS")
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    used = threads.cores()
    parts = [f"{affine} of {os.cpu_count()} logical CPUs by affinity"]
    parts += [] if quota is None else [f"quota {quota:g}"]
    parts += [] if asked is None else [f"OMP_NUM_THREADS={asked}"]
    numbers = {"used": used, "logical": os.cpu_count(), "affinity": affine, "quota": quota}
    name = record.environment()["machine"]["processor"] or platform.machine()
    text = f"{used} used ({', '.join(parts)})"
    yield Finding("cores", "ok", text, numbers=numbers)
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > 1.5 * used:
        text = f"load {busy:.1f}: others compute here, too; the times below are too long"
        yield Finding("load", "note", text, numbers={"load": busy})
    yield Finding("processor", "ok", name, numbers={"name": name})


def _memory() -> Iterator[Finding]:
    total, free = (_meminfo(field) for field in ("MemTotal", "MemAvailable"))
    if total is None or free is None:
        yield Finding("memory", "note", "unknown: this system has no /proc/meminfo")
        return
    numbers = {"total_bytes": total, "available_bytes": free}
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB available"
    if free < LITTLE_MEMORY:
        advice = "end other programs, or train with a smaller data.batch_size"
        yield Finding("memory", "failed", text, advice, numbers)
    else:
        yield Finding("memory", "ok", text, numbers=numbers)


def _meminfo(field: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    words = [line.split() for line in lines if line.startswith(f"{field}:")]
    return int(words[0][1]) * 1024 if words else None


def _compiler() -> Iterator[Finding]:
    try:
        built = compiler.description()
    except CompilerError as error:
        yield Finding("compiler", "note", str(error), BUILD)
        return
    several = "several threads" if built.threads else "one thread: it takes no -fopenmp"
    text = f"{built.version}; {built.instructions}; {several}"
    yield Finding("compiler", "ok", text, numbers=built._asdict())


def bfloat16(device: torch.device) -> Iterator[Finding]:
    """Yield whether a device computes bfloat16 by instructions of its own, and what that gains."""
    square = torch.linspace(-1, 1, _SQUARE, device=device).expand(_SQUARE, _SQUARE).contiguous()
    half = square.to(torch.bfloat16)
    seconds = timing.medians(
        {"float32": lambda: square @ square, "bfloat16": lambda: half @ half},
        wait=timing.wait_for(device),
    )
    gain = seconds["float32"] / seconds["bfloat16"]
    has = ""
    if device.type == "cpu":
        flags = [flag for flag in _BFLOAT16_FLAGS if flag in _cpu_flags()]
        has = f" (instructions: {', '.join(flags) or 'none'})"
    text = f"products are {gain:.1f} times as fast as in float32{has}"
    rate = 2 * _SQUARE**3 / seconds["float32"] / 1e9
    numbers = {"gain": gain, "float32_gflops": rate}
    if gain < 1:
        yield Finding("bfloat16", "note", text, "trainer.precision=32-true is faster here", numbers)
    else:
        yield Finding("bfloat16", "ok", text, numbers=numbers)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    named = [line for line in lines if line.startswith(("flags", "Features"))]
    return set(named[0].partition(":")[2].split()) if named else set()
