"""Long runs: memory, open files and logs against the number of steps; many samples to a file.

    python -m benchmarks.long_run [--quick] [--out FILE]

A tiny PixelCNN on the digits is trained for 10,000 steps, the way that every run goes, and looked
at every thousand. Then 10,000 and 100,000 images are drawn by the command's own function. What must
not grow: memory, open files, and the bytes of each step's log. Memory grows at first, until
the allocator has what it reuses; the second half counts.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

import pixelrnn
from benchmarks import report
from pixelrnn.cli.sample import sample

Rows = list[dict[str, Any]]

MODEL = ["model=pixelcnn", "model.hidden=4", "model.layers=1", "model.head_width=4"]
QUIET = ["callbacks.summary=null", "callbacks.progress=null", "threads=1", "evaluate=[val]"]

_seen: Rows = []


class Look(pl.Callback):
    """Notes what this process holds, every few steps.

    Args:
        every: optimiser steps.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Look, if it is time."""
        step = trainer.global_step
        if step % self.every == 0 and (not _seen or _seen[-1]["step"] != step):
            _seen.append({"step": step, **held(Path(trainer.default_root_dir))})


def held(run: Path | None = None) -> dict[str, Any]:
    """Resident memory in MB, open files, and the bytes of the logs of a run."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    found: dict[str, Any] = {
        "memory_mb": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "open_files": len(os.listdir("/proc/self/fd")),
    }
    if run is not None:
        logs = [run / "metrics.csv", *run.glob("wandb/**/*.wandb")]
        found["log_bytes"] = sum(path.stat().st_size for path in logs if path.is_file())
        found["files"] = sum(len(files) for _, _, files in os.walk(run))
    return found


def training(steps: int) -> Rows:
    """Train so many steps; one row for each tenth of them."""
    _seen.clear()
    words = [
        "+callbacks.look._target_=benchmarks.long_run.Look",
        f"+callbacks.look.every={steps // 10}",
        "trainer.max_epochs=-1",
        f"trainer.max_steps={steps}",
        "callbacks.early_stopping=null",
        "logger=csv",
        "folder=run",
    ]
    pixelrnn.train([*MODEL, *QUIET, *words])
    return list(_seen)


def sampling(n: int) -> Rows:
    """Draw images to a file, a tenth as many first: memory is not to depend on the number."""
    rows = []
    for count in (n // 10, n):
        before, start = held()["memory_mb"], time.perf_counter()
        sample(run="run", n=count, batch_size=1000, out=f"drawn-{count}", threads=1)
        seconds = time.perf_counter() - start
        after = held()["memory_mb"]
        size = Path(f"drawn-{count}.npy").stat().st_size
        rows.append(
            {"images": count, "before_mb": before, "after_mb": after, "bytes": size, "s": seconds}
        )
    return rows


def main() -> None:
    """Measure, print the table and write the JSON."""
    options = report.parser(__doc__, "long_run").parse_args()
    out = options.out.absolute()
    steps, images = (200, 200) if options.quick else (10_000, 100_000)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            rows = [*training(steps), *sampling(images)]
        finally:
            os.chdir(here)
    report.finish("Long runs", rows, out)


if __name__ == "__main__":
    from benchmarks import long_run  # the callback is of that module, and notes what it sees there

    long_run.main()
