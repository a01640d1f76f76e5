"""The likelihood of a split: one exact pass, in float32, with the standard error of the mean."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from pytorch_lightning import Trainer

from pixelrnn.data.base import PixelDataModule, Split
from pixelrnn.models.base import ImageDistribution
from pixelrnn.training import evaluation_batch
from pixelrnn.training.evaluation_progress import EvaluationProgress
from pixelrnn.training.exact_entropy import EntropyGap
from pixelrnn.training.module import PixelModule


def evaluate_splits(
    model: ImageDistribution,
    data: PixelDataModule,
    splits: Iterable[Split],
    accelerator: str = "cpu",
    progress: bool = False,
    processes: Callable[[], dict[str, Any]] | None = None,
) -> dict[str, float]:
    """Evaluate several splits; two that hold the same images and labels are evaluated once.

    Args:
        model: left in eval mode.
        data: set up.
        splits: which.
        accelerator: where, in Lightning's words.
        progress: show how far it has come, on stderr.
        processes: as for `evaluate`.

    Returns:
        The metrics of all of them, see `evaluate`.
    """
    metrics: dict[str, float] = {}
    done: list[Split] = []
    for split in splits:
        same = [other for other in done if _same(data, split, other)]
        if same:
            prefix = f"{same[0]}/"
            found = {name: value for name, value in metrics.items() if name.startswith(prefix)}
            metrics |= {f"{split}/{name.removeprefix(prefix)}": v for name, v in found.items()}
        else:
            metrics |= evaluate(model, data, split, accelerator, progress, processes)
        done.append(split)
    return metrics


def evaluate(
    model: ImageDistribution,
    data: PixelDataModule,
    split: Split,
    accelerator: str = "cpu",
    progress: bool = False,
    processes: Callable[[], dict[str, Any]] | None = None,
) -> dict[str, float]:
    """Evaluate every image of a split once.

    No autocast, whatever precision the model was trained in; sums in float64.

    Args:
        model: left in eval mode.
        data: set up.
        split: which images; those of the training split come without augmentation.
        accelerator: where, in Lightning's words.
        progress: show how far it has come, on stderr.
        processes: makes `accelerator` and other arguments of a Trainer for several processes,
            which share the images (`devices.arguments`); None: this process alone.

    Returns:
        `{split}/nll` (nats per image), `{split}/bits_per_dim`, each with `_stderr`, and
        `{split}/images`; on data with known entropy also `{split}/gap` and `{split}/regret`.
    """
    module = PixelModule(model)
    module.split = split
    images = len(data.images(split))
    trainer = Trainer(
        **(processes() if processes else {"accelerator": accelerator, "devices": 1}),
        precision="32-true",
        callbacks=[EntropyGap(data), *([EvaluationProgress(split, images)] if progress else [])],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        share = trainer.global_rank, trainer.world_size
        evaluation_batch.settle(data, model, trainer)
        loader = data.eval_dataloader(split, share)
        (metrics,) = trainer.test(module, dataloaders=loader, verbose=False)
    return {**metrics, f"{split}/images": images}


def _same(data: PixelDataModule, split: Split, other: Split, block: int = 1000) -> bool:
    """Whether two splits hold the same images and labels; both may be memory maps."""
    images, others = data.images(split), data.images(other)
    labels, other_labels = data.labels(split), data.labels(other)
    if images.shape != others.shape:
        return False
    if labels is not None and not np.array_equal(labels, other_labels):  # type: ignore[arg-type]
        return False
    starts = range(0, len(images), block)
    return all(np.array_equal(images[at : at + block], others[at : at + block]) for at in starts)
