"""What a model writes in the header of a file, and what it refuses to read.

Architecture, weights and precision must be those of the model that coded. What decides how a
machine rounds must be the same too, unless the user wants to try; the canary has the last word.
"""

from typing import Literal

import pixelrnn
from pixelrnn import threads
from pixelrnn.compression import canary, container, identity, tables
from pixelrnn.compression.container import Header
from pixelrnn.compression.numerics import Walker
from pixelrnn.errors import CompressionError
from pixelrnn.models import fingerprint
from pixelrnn.models.base import ImageDistribution

Machine = Literal["same", "any"]
"""Whether to decode only where nothing known rounds otherwise, or to try elsewhere too."""


def header_of(model: ImageDistribution, walker: Walker, count: int, batch_size: int) -> Header:
    """The header of a file of `count` images that this model codes here."""
    colors, height, width = model.image_shape
    most = max(1, container.STREAM_SUBPIXELS // (colors * height * width))
    batch = min(batch_size, most, max(1, count))
    weights = sum(weight.numel() for weight in model.parameters())
    count_threads = threads.for_generation(weights, batch)
    with threads.limited(count_threads):
        found = canary.canary(walker, min(batch, count))
    return Header(
        writer=pixelrnn.__version__,
        image_shape=model.image_shape,
        levels=model.levels,
        classes=model.classes,
        count=count,
        batch_size=batch,
        stream_images=most // batch * batch,
        mode=walker.mode,
        dtype=identity.dtype(model),
        table_bits=tables.BITS,
        threads=count_threads,
        model=identity.model_hash(model),
        weights=fingerprint.weights_hash(model)[:32],
        canary=found,
        environment=identity.environment(model),
    )


def check_model(model: ImageDistribution, header: Header) -> None:
    """Refuse a model that is not the one that coded the file."""
    for name, here in (
        ("image_shape", model.image_shape),
        ("levels", model.levels),
        ("classes", model.classes),
    ):
        there = getattr(header, name)
        if there != here:
            raise CompressionError(f"coded by a model with {name}={there}, but this has {here}")
    if header.model != identity.model_hash(model):
        raise CompressionError("coded by a model of another architecture or other settings")
    if header.dtype != identity.dtype(model):
        raise CompressionError(
            f"coded in {header.dtype}, but this model is in {identity.dtype(model)}"
        )
    if header.weights != fingerprint.weights_hash(model)[:32]:
        raise CompressionError("coded by a model with other weights")


def check_machine(
    model: ImageDistribution, walker: Walker, header: Header, machine: Machine
) -> None:
    """Refuse to decode where numbers are rounded otherwise."""
    here = identity.environment(model)
    differ = [
        f"{name} {there} there, {here.get(name)} here"
        for name, there in header.environment.items()
        if here.get(name) != there
    ]
    if differ and machine == "same" and header.mode == "fast":
        raise CompressionError(
            f"coded on a machine that may round otherwise ({'; '.join(differ)}): decode it there, "
            "or try with machine=any"
        )
    if canary.canary(walker, min(header.batch_size, header.count)) != header.canary:
        reason = f" ({'; '.join(differ)})" if differ else ""
        raise CompressionError(
            f"this machine computes other probabilities than the one that coded it{reason}"
        )
