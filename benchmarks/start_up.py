"""From the command to the first training step: `python -m benchmarks.start_up`.

Each turn starts fresh processes: what answers at once, a training until its first step is done, and
the import of each package alone, which says where the time goes. Two measures: the wall time, which
other programs on the machine lengthen, and the processor time of the process, which they do less.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report

PACKAGES = ("pixelrnn", "hydra", "torch", "pytorch_lightning", "wandb", "sklearn.datasets")
CLI = "import sys; from pixelrnn.cli.main import main; sys.exit(main(sys.argv[1:]))"

FIRST_STEP = '''
import os, resource, time
from pytorch_lightning import Callback

class FirstStep(Callback):
    """Notes when the first step is done, and ends the process there."""

    def on_train_batch_end(self, *_):
        used = resource.getrusage(resource.RUSAGE_SELF)
        with open(os.environ["NOTE"], "w") as file:
            file.write(f'{{"wall": {time.time()}, "cpu": {used.ru_utime + used.ru_stime}}}')
        os._exit(0)
'''
TRAIN = ("train", "+callbacks.first._target_=first_step.FirstStep")


def measured(*command: str) -> tuple[float, float]:
    """Wall seconds and processor seconds of a fresh interpreter in a folder of its own."""
    source = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "first_step.py").write_text(FIRST_STEP)
        note = Path(folder) / "note.json"
        path = os.pathsep.join([source, folder])
        before, started = _children(), time.time()
        subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "NOTE": str(note)},
            check=True,
            capture_output=True,
        )
        wall, cpu = time.time() - started, _children() - before
        if note.exists():
            found = json.loads(note.read_text())
            wall, cpu = found["wall"] - started, found["cpu"]
        return wall, cpu


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table and write the JSON."""
    options = report.parser(__doc__, "start_up").parse_args()
    cases = {
        "python": ("-c", "pass"),
        "pixelrnn --help": ("-c", CLI, "--help"),
        "pixelrnn train --help": ("-c", CLI, "train", "--help"),
        "pixelrnn runs": ("-c", CLI, "runs"),
        "pixelrnn table table2": ("-c", CLI, "table", "table2"),
        "completion by Tab": ("-c", CLI, "--complete", "pixelrnn train model="),
        "first step, W&B offline": ("-c", CLI, *TRAIN),
        "first step, CSV only": ("-c", CLI, *TRAIN, "logger=csv"),
        **{f"import {name}": ("-c", f"import {name}") for name in PACKAGES},
    }
    turns = 2 if options.quick else 5
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(turns):
        for name, command in cases.items():
            found[name].append(measured(*command))
    rows: list[dict[str, Any]] = [
        {
            "what": name,
            "seconds": report.Spread.of([wall for wall, _ in times]),
            "processor seconds": report.Spread.of([cpu for _, cpu in times]),
        }
        for name, times in found.items()
    ]
    report.finish("Start-up", rows, options.out)


if __name__ == "__main__":
    main()
