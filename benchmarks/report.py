"""What every benchmark shares: interleaved timing, the machine, tables and JSON."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pixelrnn import cores
from pixelrnn.ops import choices
from pixelrnn.results import grid

RESULTS = Path(__file__).with_name("results")
GEMM_SIZE = 1024
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Spread:
    """Median and range of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """From the measurements."""
        return cls(statistics.median(values), min(values), max(values))

    def show(self, digits: int = 2) -> str:
        """`median (low..high)`."""
        low, high = f"{self.low:.{digits}f}", f"{self.high:.{digits}f}"
        return f"{self.median:.{digits}f} ({low}..{high})"


def interleave(
    candidates: Mapping[str, Callable[[], Any]],
    repeats: int,
    wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of every candidate, `repeats` times in turn, after one unmeasured turn.

    `wait` waits for the device that they run on (`timing.wait_for`).

    On a shared machine speed drifts; what stands in one turn is compared, not what stands apart.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repeats + 1):
        for name, candidate in candidates.items():
            wait()
            start = clock()
            candidate()
            wait()
            if turn > 0:
                times[name].append(clock() - start)
    return times


def gemm(device: torch.device = CPU) -> Callable[[], None]:
    """The device's own rate: a float32 product of two square matrices of GEMM_SIZE, 4 times."""
    a, b = torch.randn(2, GEMM_SIZE, GEMM_SIZE, device=device).unbind()
    out = torch.empty_like(a)

    def run() -> None:
        for _ in range(4):
            torch.mm(a, b, out=out)

    return run


GEMM_FLOP = 4 * 2 * GEMM_SIZE**3


def ratios(top: Sequence[float], bottom: Sequence[float], factor: float = 1.0) -> Spread:
    """Turn by turn `factor * top / bottom`."""
    return Spread.of([factor * a / b for a, b in zip(top, bottom, strict=True)])


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    commit = _git("describe", "--always")
    but_results = f":(exclude){RESULTS}"  # earlier benchmarks of the same session wrote there
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", but_results)
    return {
        "cpu": _cpu_name(),
        "cores": cores.available(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": (commit + "-dirty" * bool(changed)) or "unknown",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "kernels": choices.lines(),
    }


def _git(*words: str) -> str:
    """What git answers about this source; nothing if there is none."""
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="fewer repeats and smaller cases")
    options.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="JSON file")
    return options


def add_device(options: argparse.ArgumentParser) -> None:
    """The option of benchmarks that run on a GPU, too."""
    options.add_argument("--device", type=torch.device, default=CPU, help="cpu, cuda or cuda:1")


def finish(title: str, rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Print the rows as a table and write them, with the machine, to a JSON file."""
    about = machine()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    console = Console()
    console.print(title, style="bold", soft_wrap=True)
    shown = [grid.Column(name, number=isinstance(rows[0].get(name), float)) for name in columns]
    grid.show(console, shown, [[_cell(row.get(name)) for name in columns] for row in rows])
    words = [f"{key} {value}" for key, value in about.items() if key != "kernels"]
    console.print(", ".join(words), soft_wrap=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": about, "rows": rows}, default=vars, indent=1) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Spread):
        return value.show()
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
