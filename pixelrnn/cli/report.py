"""The closing table of a run: likelihoods of all splits, and where everything lies."""

from pathlib import Path
from typing import Any

from rich.console import Console

from pixelrnn.data.base import SPLITS
from pixelrnn.results import grid

COLUMNS = (
    grid.Column("split"),
    grid.Column("images", number=True, spare=1),
    grid.Column("bits/dim", number=True),
    grid.Column("nats/image", number=True),
)


def likelihoods(console: Console, metrics: dict[str, Any], title: str) -> None:
    """Print one row for each split that was evaluated."""
    rows = [
        [
            split,
            str(metrics.get(f"{split}/images", "")),
            _with_error(metrics, f"{split}/bits_per_dim", 4),
            _with_error(metrics, f"{split}/nll", 2),
        ]
        for split in SPLITS
        if f"{split}/nll" in metrics
    ]
    console.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)
    grid.show(console, COLUMNS, rows)


def classification(console: Console, metrics: dict[str, Any], split: str) -> None:
    """Print what Bayes' rule says of a split: accuracy, and the likelihood without labels."""
    for name, digits, words in (
        ("accuracy", 4, "of the images classified right by Bayes' rule"),
        ("marginal_bits_per_dim", 4, "bits/dim without labels, of p(x) = sum_y p(x | y) p(y)"),
        ("marginal_nll", 2, "nats/image without labels"),
    ):
        text = f"{_with_error(metrics, f'{split}/{name}', digits)} {words}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def show(results: dict[str, Any], run: Path, state: str) -> None:
    """Print the record of a run."""
    console = Console()
    likelihoods(console, results["metrics"], f"{results.get('label') or run.name} ({state})")
    console.print(
        f"{results['parameters']:,} parameters, {results['steps']:,} steps, "
        f"{results['training_seconds']:.0f} s of training",
        highlight=False,
    )
    codes = (run / "samples" / "final.npy").exists()  # which have no picture
    for what, path in (
        ("record", "results.json"),
        ("samples", f"samples/final.{'npy' if codes else 'png'}"),
        ("curves", "metrics.csv"),
        ("checkpoint", "checkpoints/best.ckpt"),
    ):
        console.print(f"  {what:<10} {run / path}", highlight=False, soft_wrap=True)


def _with_error(metrics: dict[str, Any], name: str, digits: int) -> str:
    value, error = metrics.get(name), metrics.get(f"{name}_stderr")
    if value is None:
        return ""
    return f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
