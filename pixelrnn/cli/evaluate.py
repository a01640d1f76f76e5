"""`pixelrnn evaluate run=runs/... split=test`: one exact pass over a split."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from pixelrnn.arguments import Positive
from pixelrnn.cli import compose, process, report
from pixelrnn.data.base import Split
from pixelrnn.training import load
from pixelrnn.training.evaluate import evaluate as evaluate_split


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    compose.run("evaluate", task, argv)


def task(config: DictConfig) -> None:
    """One job."""
    compose.call(evaluate, config)


def evaluate(
    *,
    run: str,
    split: Split,
    batch_size: Positive | None,
    accelerator: str,
    threads: Positive | None,
    paths: dict[str, str],
) -> dict[str, Any]:
    """Print nats and bits/dim with their standard errors.

    Args:
        run: run folder.
        split: train, val or test.
        batch_size: None: the run's own.
        accelerator: where to compute, in Lightning's words.
        threads: None: all cores.
        paths: roots of runs and data.

    Returns:
        The metrics, as `training.evaluate.evaluate` gives them.
    """
    process.set_up(threads)
    model = load.load_model(run)
    data = load.load_data(run)
    data.eval_batch_size = batch_size or data.eval_batch_size
    metrics = evaluate_split(model, data, split, accelerator)
    Console().print(report.likelihood_table(metrics, Path(run).name))
    return metrics
