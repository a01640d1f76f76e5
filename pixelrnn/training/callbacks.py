"""Lightning callbacks of our own: sample pictures, progress, and the parameters of each part."""

from pathlib import Path
from typing import Literal, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console

from pixelrnn.arguments import Positive, Seed, checked
from pixelrnn.models.base import ImageDistribution
from pixelrnn.training import sample_grid


class SampleGrid(Callback):
    """Draws images during training: a PNG in the run folder, and an image in W&B.

    Of codes, which are no pictures, there is an array .npy in the run folder alone. The draws have
    a generator of their own, so that they do not change the training.

    Args:
        folder: where the pictures go.
        n: images in a picture; of a class-conditional model about so many, a row for each class.
        every_n_epochs: a picture is drawn after every n-th epoch that is validated.
        seed: seed of the draws; the same at every epoch, so that pictures can be compared.
    """

    @checked
    def __init__(
        self, folder: Path | str, n: Positive = 36, every_n_epochs: Positive = 10, seed: Seed = 0
    ) -> None:
        self.folder = Path(folder)
        self.n = n
        self.every_n_epochs = every_n_epochs
        self.seed = seed

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw with the weights that validation used: their average, if there is one."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 and not trainer.sanity_checking
        if not due or not trainer.is_global_zero:
            return
        model = cast(ImageDistribution, pl_module.model)
        picture = sample_grid.write(model, self.n, self.seed, self.folder / f"epoch-{epoch:04d}")
        for logger in trainer.loggers:
            if picture is not None and hasattr(logger, "log_image"):
                logger.log_image("samples", [picture], step=trainer.global_step)


class SameBatches(Callback):
    """Shows the batches of the first epoch in all epochs, to see whether they can be learnt."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the sampler the first epoch's order."""
        assert trainer.train_dataloader is not None
        trainer.train_dataloader.sampler.set_epoch(0)


class MatmulPrecision(Callback):
    """Sets torch's precision of float32 products and convolutions while a model is fitted.

    Args:
        precision: "highest" is float32, "high" TensorFloat-32 and "medium" bfloat16 where the
            device has them; convolutions of cuDNN are in TensorFloat-32 with both.
    """

    @checked
    def __init__(self, precision: Literal["highest", "high", "medium"] = "highest") -> None:
        self.precision = precision
        self._before = "highest", False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the precision of this process."""
        self._before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        _set_precision(self.precision, self.precision != "highest")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put back what was set before."""
        _set_precision(*self._before)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Put back what was set before."""
        _set_precision(*self._before)


def _set_precision(products: str, tensor_float_convolutions: bool) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = tensor_float_convolutions


class ParameterCount(Callback):
    """Prints how many parameters each part of the model has, before training."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print one line for each part, and one for the whole."""
        if trainer.is_global_zero:
            text = parameter_table(cast(ImageDistribution, pl_module.model))
            Console(stderr=True).print(text, highlight=False, soft_wrap=True, markup=False)


def parameter_table(model: torch.nn.Module) -> str:
    """Lines "part  parameters" of the direct parts of a model, and their sum."""
    parts = {name: _count(part) for name, part in model.named_children() if _count(part)}
    whole = _count(model)
    direct = whole - sum(parts.values())
    if direct:
        parts["of the model itself"] = direct
    parts["all parameters"] = whole
    width = max(map(len, parts))
    return "\n".join(f"  {name:<{width}}  {count:>14,}" for name, count in parts.items())


def _count(part: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in part.parameters())
