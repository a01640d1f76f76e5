"""The keys that figures share, and what they stand for: the picture's place, a run's model, data.

A kind of figure names the class of its shared keys as the type of its first argument.
"""

import io
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pixelrnn.arguments import Accelerator, Positive, Split, StyleName
from pixelrnn.cli import outputs
from pixelrnn.errors import ConfigError
from pixelrnn.runs import naming, record, upgrade

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from pixelrnn.data.base import PixelDataModule
    from pixelrnn.models.base import ImageDistribution

ENDINGS = (".png", ".pdf", ".svg")
"""Forms in which a figure can be written."""

_DOTS_PER_INCH = 110

Index = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Drawing(ABC):
    """Keys of every figure.

    Args:
        out: path of the picture, which may end in .png, .pdf or .svg.
        style: background.
    """

    out: str | None = None
    style: StyleName = "light"

    @abstractmethod
    def default(self, kind: str) -> Path:
        """Where the picture goes unless `out` says it."""

    def target(self, kind: str) -> Path:
        """The path of the picture; its folder is made.

        Raises:
            ConfigError: `out` is a folder, or ends like no picture.
            RunError: the folder cannot be made or written.
        """
        path = Path(self.out) if self.out else self.default(kind)
        if path.suffix not in ENDINGS:
            raise ConfigError(f"out={self.out}: must end in {', '.join(ENDINGS)}")
        if path.is_dir():
            raise ConfigError(f"out={self.out}: is a folder")
        outputs.make_folder(path.parent)
        return path

    def finish(self, figure: "Figure", kind: str, path: Path) -> None:
        """Write the picture and say where.

        Raises:
            RunError: the disc is full or cannot be written.
        """
        from pixelrnn import atomic

        about = {"Title": f"pixelrnn figure {kind}"}
        options: dict[str, Any] = (
            {"pil_kwargs": {"optimize": True}} if path.suffix == ".png" else {}
        )
        with outputs.explained(path), atomic.replacing(path, "wb") as file:
            figure.savefig(
                file, format=path.suffix[1:], dpi=_DOTS_PER_INCH, metadata=about, **options
            )
        print(path)


@dataclass(frozen=True, kw_only=True)
class OfRun(Drawing):
    """Keys of a figure of one run.

    Args:
        run: run folder, or a checkpoint file in one.
        out: path of the picture, which may end in .png, .pdf or .svg; null: figures/KIND.png in
            the run folder.
        style: background of the picture.
        wandb: show the picture in the run's W&B, too.
        accelerator: where to compute.
        threads: of the CPU; null: all cores.
    """

    run: str
    wandb: bool = False
    accelerator: Accelerator = "cpu"
    threads: Positive | None = None

    @property
    def folder(self) -> Path:
        """The run folder."""
        return record.folder_of(Path(self.run))

    @property
    def name(self) -> str:
        """The run's name, for titles."""
        return self.folder.resolve().name

    def default(self, kind: str) -> Path:
        """A place in the run folder."""
        return self.folder / "figures" / f"{kind}.png"

    def target(self, kind: str) -> Path:
        """The path of the picture, after a look at the run.

        Raises:
            ConfigError: as always, or `wandb` is asked for and the run has none.
            RunError: as always, or there is no such run.
        """
        record.require(Path(self.run))
        if self.wandb and not (self._config().get("logger") or {}).get("wandb"):
            raise ConfigError("wandb=true: the run was trained without W&B (logger.wandb is null)")
        return super().target(kind)

    def finish(self, figure: "Figure", kind: str, path: Path) -> None:
        """Write the picture and, if asked to, give it to W&B.

        Raises:
            RunError: the disc is full or cannot be written.
        """
        super().finish(figure, kind, path)
        if self.wandb:
            from PIL import Image

            from pixelrnn.training import tracking, trust

            stored = self._config()
            trust.check(stored, trust.RUNS, f"{self.run}/config.yaml")
            config = naming.moved(stored, str(self.folder))
            config["logger"]["wandb"]["id"] = tracking.wandb_id(stored)  # of its first folder
            image = io.BytesIO()
            figure.savefig(image, format="png", dpi=_DOTS_PER_INCH)
            tracking.add_picture(config, f"figures/{kind}", Image.open(image))

    def _config(self) -> dict[str, Any]:
        """The run's configuration, with the folder in which it was trained."""
        return upgrade.upgraded(record.config_of(Path(self.run)))

    @cached_property
    def model(self) -> "ImageDistribution":
        """The run's model in eval mode, on the device that was asked for.

        Raises:
            RunError: the run is damaged.
            ConfigError: this machine has no such accelerator.
        """
        from pixelrnn.training import accelerators, load, process

        device = accelerators.device(self.accelerator)
        process.set_up(self.threads)
        return load.load_model(self.run).to(device)

    @cached_property
    def data(self) -> "PixelDataModule":
        """The data that the run was trained on.

        Raises:
            RunError: the run is damaged, or its data have changed.
            DataError: the files of the data are missing or damaged.
        """
        from pixelrnn.training import load

        return load.load_data(self.run)

    def images(
        self,
        split: Split,
        first: int,
        n: int | None,
        keys: Sequence[str] = ("first", "n"),
        *,
        most: int = 0,
    ) -> "tuple[Tensor, Tensor | None]":
        """Some images of a split, with their labels if the model wants them.

        Args:
            split: where they come from.
            first: number of the first one, from 0.
            n: how many; None: all there are, at most `most`.
            keys: what the user calls `first` and `n`, for the error text.
            most: see `n`.

        Returns:
            uint8 (n, C, H, W), and int64 (n,) or None.

        Raises:
            ConfigError: the split has fewer images, or not the classes of the model.
        """
        from pixelrnn import symbols
        from pixelrnn.cli import class_labels

        images = self.data.images(split)
        n = min(most, len(images)) if n is None else n
        if first + n > len(images):
            asked = " ".join(f"{key}={value}" for key, value in zip(keys, (first, n), strict=False))
            raise ConfigError(f"{asked}: the {split} split has {len(images)} images")
        labels = class_labels.of_split(self.model, self.data, split, first + n)
        chosen = symbols.tensor(images[first : first + n].copy())
        return chosen, None if labels is None else labels[first:]

    def samples(
        self, n: int, seed: int, classes: list[int] | None = None
    ) -> "tuple[Tensor, Tensor | None]":
        """Draw images.

        Args:
            n: how many.
            seed: seed of the draws; image i depends on the seed, on i and on its class alone.
            classes: of each; None: a class-conditional model takes its classes in turn.

        Returns:
            uint8 (n, C, H, W), and int64 (n,) or None; on the CPU.
        """
        import torch

        from pixelrnn.generation.sources import for_images

        outputs.check_memory(n, self.model)
        labels = None
        if self.model.classes is not None:
            labels = torch.arange(n) % self.model.classes
            labels = labels if classes is None else torch.tensor(classes)
        device = next(self.model.parameters()).device
        drawn = self.model.sample(
            n,
            None if labels is None else labels.to(device),
            for_images(seed, n),
            progress=self.shows_progress,
        )
        return drawn.cpu(), labels

    @property
    def shows_progress(self) -> bool:
        """Whether somebody looks on."""
        return sys.stderr.isatty()
