"""An audit: is the reported likelihood a real one, and what is it worth beside other codecs?

coded      the bits of a file against -log2 p of the same images: never fewer, hardly more
samples    the NLL of the model's own samples against the entropy of its conditionals along
them: both estimate the model's entropy, so their difference is 0 within its error;
else the model does not draw from the distribution that it reports
entropy    on data with known entropy, what is left to gain
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pixelrnn.compression import calibration, codec, codecs, streams
from pixelrnn.compression.calibration import Calibration
from pixelrnn.compression.codecs import Sizes
from pixelrnn.compression.numerics import Mode
from pixelrnn.generation.sources import for_images
from pixelrnn.models.base import ImageDistribution

_ELEMENTS = 2**24  # of a tensor of conditionals, at most


@dataclass(frozen=True)
class Mean:
    """A mean over images and its standard error, in bits per image."""

    value: float
    error: float


@dataclass(frozen=True)
class Audit:
    """What was found; all in bits per image.

    Attributes:
        images: how many were audited.
        nll: by `log_prob`.
        report: sizes of the file.
        samples: how many own samples were drawn; the three below are None if none.
        own_nll: of the samples.
        own_entropy: of the conditionals along them.
        own_difference: of the two, sample by sample.
        calibration: on the images.
        codecs: sizes of the images under the codecs at hand, by name; all bits, not per image.
    """

    images: int
    nll: Mean
    report: codec.Report
    samples: int
    own_nll: Mean | None
    own_entropy: Mean | None
    own_difference: Mean | None
    calibration: Calibration
    codecs: dict[str, Sizes]

    @property
    def coded(self) -> float:
        """Payload of the file, without the labels."""
        return 8 * self.report.payload / self.images

    @property
    def honest(self) -> bool:
        """Whether the file is no larger than `log_prob` says, and samples have their entropy."""
        slack = 64 * self.report.streams / self.images
        return self.coded <= self.nll.value * 1.01 + slack and self.agreement <= 4

    @property
    def agreement(self) -> float:
        """Standard errors between NLL and entropy of the samples; 0 if there are none."""
        found = self.own_difference
        if found is None or found.value == 0:
            return 0.0
        return abs(found.value) / max(found.error, 1e-9)


def audited(
    model: ImageDistribution,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    samples: int = 200,
    seed: int = 0,
    mode: Mode = "fast",
    batch_size: int = 64,
    with_codecs: bool = True,
    progress: bool = False,
) -> Audit:
    """Audit a model on some images.

    Args:
        model: in eval mode.
        images: uint8 (N, C, H, W), N at least 1.
        labels: int64 (N,) for a class-conditional model, else None; samples take them in turn.
        samples: own samples to draw, 0 or at least 2.
        seed: of the samples.
        mode: of the file.
        batch_size: images computed together.
        with_codecs: measure other codecs too, if images are what they take: of 1 or 3 colours and
            at most 256 levels.
        progress: show how far it has come, on stderr.

    Raises:
        ValueError: wrong images or labels.
        CompressionError: the model cannot be coded.
    """
    report = codec.write(
        model,
        len(images),
        lambda part: images[part],
        io.BytesIO(),
        labels=labels,
        mode=mode,
        batch_size=batch_size,
        progress=progress,
    )
    own = _own(model, labels, samples, seed, batch_size, progress) if samples else None
    pictures = model.image_shape[0] in (1, 3) and model.levels <= 256
    measured = [
        known for known in codecs.CODECS if with_codecs and pictures and codecs.available(known)
    ]
    plain = images.cpu().numpy()
    return Audit(
        images=len(images),
        nll=_mean(_nll(model, images, labels, batch_size)),
        report=report,
        samples=samples,
        own_nll=own and _mean(own[0]),
        own_entropy=own and _mean(own[1]),
        own_difference=own and _mean(own[0] - own[1]),
        calibration=calibration.collected(_conditionals(model, images, labels)),
        codecs={known.name: codecs.sizes(known, plain, model.levels) for known in measured},
    )


def _own(
    model: ImageDistribution,
    labels: Tensor | None,
    n: int,
    seed: int,
    batch_size: int,
    progress: bool,
) -> tuple[Tensor, Tensor]:
    """NLL and entropy of n samples: float64 (n,) each, in bits."""
    given = None if labels is None else labels[torch.arange(n) % len(labels)]
    drawn = model.sample(n, given, for_images(seed, n), batch_size=batch_size, progress=progress)
    entropy = [
        -(log_probs.double().exp() * log_probs.double()).nan_to_num().sum((1, 2, 3, 4))
        for log_probs, _ in _conditionals(model, drawn, given)
    ]
    return _nll(model, drawn, given, batch_size), torch.cat(entropy).cpu() / math.log(2)


@torch.no_grad()
def _nll(
    model: ImageDistribution, images: Tensor, labels: Tensor | None, batch_size: int
) -> Tensor:
    """-log2 p of each image: float64 (N,)."""
    device = next(model.parameters()).device
    found = [
        model.log_prob(images[part].to(device), None if labels is None else labels[part])
        for part in streams.parts(len(images), batch_size)
    ]
    return -torch.cat(found).cpu().double() / math.log(2)


@torch.no_grad()
def _conditionals(
    model: ImageDistribution, images: Tensor, labels: Tensor | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Conditionals and images, a batch at a time."""
    device = next(model.parameters()).device
    size = max(1, _ELEMENTS // (math.prod(model.image_shape) * model.levels))
    for part in streams.parts(len(images), min(size, 256)):
        batch = images[part].to(device)
        yield model.conditionals(batch, None if labels is None else labels[part]), batch


def _mean(values: Tensor) -> Mean:
    spread = values.std().item() if len(values) > 1 else math.nan
    return Mean(values.mean().item(), spread / math.sqrt(max(1, len(values))))
