"""`pixelrnn evaluate run=runs/... split=test`: the exact likelihood of all images of a split."""

from pathlib import Path
from typing import Any

from pixelrnn.arguments import Accelerator, Positive, Split
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(evaluate, argv)


def evaluate(
    *,
    run: str,
    split: Split = "test",
    batch_size: Positive | None = None,
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> dict[str, Any]:
    """Print nats per image and bits per dimension of a split, with their standard errors.

    Args:
        run: run folder, or a checkpoint file in one.
        split: which images.
        batch_size: images computed together; null: as the run did.
        accelerator: where to compute.
        threads: of the CPU; null: all cores.

    Returns:
        The metrics, as `training.evaluate.evaluate` gives them.

    Raises:
        RunError: there is no such run, or it is damaged.
        ConfigError: this machine has no such accelerator.
    """
    record.require(Path(run))

    from rich.console import Console

    from pixelrnn.cli import report
    from pixelrnn.training import accelerators, load, process
    from pixelrnn.training.evaluate import evaluate as evaluate_split

    accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run)
    folder = record.folder_of(Path(run))
    data = load.load_data(folder)
    data.eval_batch_size = batch_size or data.eval_batch_size
    metrics = evaluate_split(model, data, split, accelerator, progress=True)
    report.likelihoods(Console(), metrics, folder.name)
    return metrics
