"""Plans beside what the same runs then took: `python -m benchmarks.plan`.

In each turn a small table is planned and then run, so that both meet the machine in the same state,
as far as others leave it alone. The ratio is planned time by taken time, without the imports.
"""

import tempfile
import time
from typing import Any

from benchmarks import report
from pixelrnn.cli import planned
from pixelrnn.training import run

TABLES = {
    "table4, scale=small": ["sweep=table4", "scale=small"],
    "table2, scale=small": ["sweep=table2", "scale=small"],
}
SHORT = [
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=60",
    "trainer.limit_val_batches=4",
    "evaluate=[val]",
    "callbacks.early_stopping=null",
    "callbacks.progress=null",
    "callbacks.summary=null",
]


def taken(job: planned.Job) -> float:
    """Seconds that a run of this process takes, its folder new."""
    started = time.perf_counter()
    run.carry_out(job.prepared)
    return time.perf_counter() - started


def main() -> None:
    """Print the table and write the JSON."""
    options = report.parser(__doc__, "plan").parse_args()
    rows: list[dict[str, Any]] = []
    for name, words in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [*words, *SHORT, f"paths.runs={folder}"]
            seconds = 2.0 if options.quick else 5.0
            sweep = planned.sweep(command)
            for job in sweep.jobs:
                one = planned.Sweep([job], "", "basic", 1, True)
                (costed,) = planned.measured(one, 3, seconds, lambda *_: None).jobs
                assert costed.left is not None, costed.trouble
                real = taken(job)
                print(
                    f"{name}, {job.name}: planned {costed.left.seconds:.1f} s, {real:.1f} s taken"
                )
                rows.append(
                    {
                        "table": name,
                        "run": job.name,
                        "planned s": costed.left.seconds,
                        "taken s": real,
                        "ratio": costed.left.seconds / real,
                    }
                )
    report.finish("Planned and taken", rows, options.out)


if __name__ == "__main__":
    main()
