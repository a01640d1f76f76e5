"""The likelihood of a split: one exact pass, in float32, with the standard error of the mean."""

import warnings

from pytorch_lightning import Trainer

from pixelrnn.data.base import PixelDataModule, Split
from pixelrnn.models.base import ImageDistribution
from pixelrnn.training.exact_entropy import EntropyGap
from pixelrnn.training.module import PixelModule


def evaluate(
    model: ImageDistribution, data: PixelDataModule, split: Split, accelerator: str = "cpu"
) -> dict[str, float]:
    """Evaluate every image of a split once.

    No autocast, whatever precision the model was trained in; sums in float64.

    Args:
        model: left in eval mode.
        data: set up.
        split: which images; those of the training split come without augmentation.
        accelerator: where, in Lightning's words.

    Returns:
        `{split}/nll` (nats per image), `{split}/bits_per_dim`, each with `_stderr`, and
        `{split}/images`; on data with known entropy also `{split}/gap` and `{split}/regret`.
    """
    module = PixelModule(model)
    module.split = split
    trainer = Trainer(
        accelerator=accelerator,
        devices=1,
        precision="32-true",
        callbacks=[EntropyGap(data)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        (metrics,) = trainer.test(module, dataloaders=data.eval_dataloader(split), verbose=False)
    return {**metrics, f"{split}/images": len(data.images(split))}
