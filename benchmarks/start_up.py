"""From the command to the first training step: `python -m benchmarks.start_up`.

Each turn starts fresh processes: the help text, a whole run of one step, and the import of each
package alone, which says where the time goes. The run includes its evaluation and its samples.
"""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks import report

PACKAGES = ("pixelrnn", "hydra", "torch", "pytorch_lightning", "wandb", "sklearn.datasets")
CLI = "import sys; from pixelrnn.cli.main import main; sys.exit(main(sys.argv[1:]))"
ONE_STEP = ("train", "trainer.max_steps=1", "trainer.max_epochs=1", "callbacks.summary=null")


def seconds(*command: str) -> float:
    """Wall time of a fresh interpreter in a folder of its own."""
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": source},
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - started


def main() -> None:
    """Print the table and write the JSON."""
    options = report.parser(__doc__, "start_up").parse_args()
    cases = {
        "python": ("-c", "pass"),
        "pixelrnn --help": ("-c", CLI, "--help"),
        "first step, W&B offline": ("-c", CLI, *ONE_STEP),
        "first step, CSV only": ("-c", CLI, *ONE_STEP, "logger=csv"),
        **{f"import {name}": ("-c", f"import {name}") for name in PACKAGES},
    }
    turns = 2 if options.quick else 5
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(turns):
        for name, command in cases.items():
            times[name].append(seconds(*command))
    rows = [
        {"what": name, "seconds": report.Spread.of(measured)} for name, measured in times.items()
    ]
    report.finish("Start-up", rows, options.out)


if __name__ == "__main__":
    main()
