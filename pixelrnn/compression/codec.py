"""Images to bytes and back, by one walk of a model with two sources.

A file holds streams of a bounded number of images, and a stream batches that are walked together;
memory is that of one stream. The images of a batch are coded side by side in one stream, so that
the end of a stream (64 bits at most) is paid once for many images.
"""

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

import pixelrnn
from pixelrnn import threads
from pixelrnn.compression import canary, container, identity, raw, sources, tables
from pixelrnn.compression.coder import Decoder, Encoder
from pixelrnn.compression.container import Header, Stream
from pixelrnn.compression.progress import Progress
from pixelrnn.errors import CompressionError
from pixelrnn.generation.chunks import BATCH_SIZE
from pixelrnn.models.base import ImageDistribution

log = logging.getLogger(__name__)

Mode = Literal["fast"]
Machine = Literal["same", "any"]
Take = Callable[[slice], Tensor]
"""Gives the images of a slice, uint8 (n, C, H, W), so that they need not all be in memory."""


@dataclass
class Report:
    """Sizes of a file in bytes, apart: what is fixed, and what the images cost.

    Attributes:
        images: in the file.
        streams: in the file.
        raw_streams: those where coding does not pay.
        fixed: bytes of the header, and of the heads and checksums of the streams.
        payload: bytes of the images.
    """

    images: int = 0
    streams: int = 0
    raw_streams: int = 0
    fixed: int = 0
    payload: int = 0


def compress(
    model: ImageDistribution,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    verify: bool = True,
    progress: bool = False,
) -> bytes:
    """Code images without loss, in about as many bits as `-model.log_prob(images)` says.

    Args:
        model: where it stands (device, dtype) is where it computes; decode with the same.
        images: uint8 (N, C, H, W).
        labels: int64 (N,) for a class-conditional model, else None.
        batch_size: images walked together; more are faster.
        verify: decode what was coded and compare; takes as long again.
        progress: show images per second and bits per dimension, on stderr.

    Returns:
        The bytes of a file (`container`).

    Raises:
        ValueError: wrong images, labels or batch size.
        CompressionError: the model can only be evaluated on whole images.
    """
    file = io.BytesIO()
    model.check_images(images)
    write(
        model,
        len(images),
        lambda part: images[part],
        file,
        labels=labels,
        batch_size=batch_size,
        verify=verify,
        progress=progress,
    )
    return file.getvalue()


def decompress(
    model: ImageDistribution,
    data: bytes,
    *,
    machine: Machine = "same",
    progress: bool = False,
) -> Tensor:
    """Give back the images of a file: uint8 (N, C, H, W), on the CPU.

    Args:
        model: the one that coded them.
        data: what `compress` gave.
        machine: "any" tries on a machine that may round otherwise; a wrong pixel is still refused.
        progress: show images per second, on stderr.

    Raises:
        CompressionError: the data are damaged, or the model or the machine is another.
    """
    parts = list(read(model, io.BytesIO(data), machine=machine, progress=progress))
    return torch.cat([torch.zeros(0, *model.image_shape, dtype=torch.uint8), *parts])


def write(
    model: ImageDistribution,
    count: int,
    take: Take,
    file: BinaryIO,
    *,
    labels: Tensor | None = None,
    batch_size: int = BATCH_SIZE,
    verify: bool = True,
    progress: bool = False,
) -> Report:
    """Code `count` images into an open file, a stream at a time. See `compress`.

    Args:
        model: see `compress`.
        count: number of images.
        take: see `Take`.
        file: open for writing bytes; only appended to.
        labels: see `compress`.
        batch_size: see `compress`.
        verify: see `compress`.
        progress: see `compress`.
    """
    if not 1 <= batch_size <= container.BATCH_LIMIT:
        raise ValueError(f"batch_size must be in 1 .. {container.BATCH_LIMIT}, got {batch_size}")
    model.check_labels(labels, count)
    header = header_of(model, count, batch_size)
    writer = container.Writer(file, header)
    report = Report(images=count, fixed=writer.header_bytes)
    with threads.limited(header.threads), Progress(header, count, not progress) as bar:
        for part in _parts(count, header.stream_images):
            images = take(part).cpu()
            model.check_images(images)
            stream = _encoded(model, header, images, None if labels is None else labels[part], bar)
            if verify and not stream.raw:
                stream = _verified(model, header, images, stream)
            writer.write(stream)
            report.streams += 1
            report.raw_streams += stream.raw
            report.fixed += stream.overhead
            report.payload += len(stream.payload)
    return report


def read(
    model: ImageDistribution,
    file: BinaryIO,
    *,
    machine: Machine = "same",
    progress: bool = False,
) -> Iterator[Tensor]:
    """Decode an open file, a stream at a time; each is checked before it is yielded.

    Args:
        model: see `decompress`.
        file: open for reading bytes.
        machine: see `decompress`.
        progress: see `decompress`.

    Yields:
        uint8 (n, C, H, W).
    """
    reader = container.Reader(file)
    header = reader.header
    _check_model(model, header)
    with threads.limited(header.threads), Progress(header, header.count, not progress) as bar:
        _check_machine(model, header, machine)
        for part in _parts(header.count, header.stream_images):
            stream = reader.read(part.stop - part.start)
            yield _decoded(model, header, stream, bar)
        reader.end()


def header_of(model: ImageDistribution, count: int, batch_size: int) -> Header:
    """The header of a file of `count` images that this model codes here."""
    colors, height, width = model.image_shape
    most = max(1, container.STREAM_SUBPIXELS // (colors * height * width))
    batch = min(batch_size, most, max(1, count))
    weights = sum(weight.numel() for weight in model.parameters())
    count_threads = threads.for_generation(weights, batch)
    with threads.limited(count_threads):
        found = canary.canary(model, min(batch, count))
    return Header(
        writer=pixelrnn.__version__,
        image_shape=model.image_shape,
        levels=model.levels,
        classes=model.classes,
        count=count,
        batch_size=batch,
        stream_images=most // batch * batch,
        mode="fast",
        dtype=identity.dtype(model),
        table_bits=tables.BITS,
        threads=count_threads,
        model=identity.model_hash(model),
        weights=identity.weights_hash(model),
        canary=found,
        environment=identity.environment(model),
    )


def _check_model(model: ImageDistribution, header: Header) -> None:
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
    if header.weights != identity.weights_hash(model):
        raise CompressionError("coded by a model with other weights")


def _check_machine(model: ImageDistribution, header: Header, machine: Machine) -> None:
    """Refuse to decode where numbers are rounded otherwise."""
    here = identity.environment(model)
    differ = [
        f"{name} {there} there, {here.get(name)} here"
        for name, there in header.environment.items()
        if here.get(name) != there
    ]
    if differ and machine == "same":
        raise CompressionError(
            f"coded on a machine that may round otherwise ({'; '.join(differ)}): decode it there, "
            "or try with machine=any"
        )
    if canary.canary(model, min(header.batch_size, header.count)) != header.canary:
        reason = f" ({'; '.join(differ)})" if differ else ""
        raise CompressionError(
            f"this machine computes other probabilities than the one that coded it{reason}"
        )


def _encoded(
    model: ImageDistribution,
    header: Header,
    images: Tensor,
    labels: Tensor | None,
    bar: Progress,
) -> Stream:
    """Code one stream; raw, if that is not longer."""
    encoder = Encoder()
    for part in _parts(len(images), header.batch_size):
        batch, given = images[part], None
        if labels is not None and model.classes is not None:
            given = labels[part]
            table = tables.uniform(len(batch), model.classes)
            encoder.encode(given.cpu().numpy(), table)
        source = sources.Encoding(batch, encoder)
        sources.walk(model, source, len(batch), given, bar.on_row(lambda: encoder.bits))
    payload = encoder.bytes()
    bar.stream(8 * len(payload))
    pixels = container.pixels_hash(images.contiguous().numpy().tobytes())
    if len(payload) >= header.raw_bytes(len(images)):
        return Stream(len(images), True, raw.packed(images, header.levels), pixels)
    return Stream(len(images), False, payload, pixels)


def _decoded(model: ImageDistribution, header: Header, stream: Stream, bar: Progress) -> Tensor:
    """Decode one stream, and compare its pixels' hash.

    Raises:
        CompressionError: the pixels are not those that were coded.
    """
    if stream.raw:
        images = raw.unpacked(stream.payload, stream.images, header.image_shape, header.levels)
        bar.images(stream.images)
    else:
        images = _walked(model, header, stream, bar)
    if container.pixels_hash(images.contiguous().numpy().tobytes()) != stream.pixels:
        raise CompressionError(
            "decodes to other pixels than were coded: the machine computes otherwise, or its "
            "memory is faulty; nothing is given out"
        )
    return images


def _walked(model: ImageDistribution, header: Header, stream: Stream, bar: Progress) -> Tensor:
    decoder = Decoder(stream.payload)
    device = next(model.parameters()).device
    found = []
    for part in _parts(stream.images, header.batch_size):
        n, labels = part.stop - part.start, None
        if model.classes is not None:
            coded = decoder.decode(tables.uniform(n, model.classes))
            labels = torch.from_numpy(coded.astype(np.int64)).to(device)
        source = sources.Decoding(decoder)
        found.append(sources.walk(model, source, n, labels, bar.on_row()))
    return torch.cat(found)


def _verified(model: ImageDistribution, header: Header, images: Tensor, stream: Stream) -> Stream:
    """The stream if it decodes to the images, else the images raw, with a warning."""
    try:
        with Progress(header, 0, True) as silent:
            _decoded(model, header, stream, silent)
    except CompressionError as error:
        log.warning("images are stored raw, since what was coded does not decode: %s", error)
        return Stream(stream.images, True, raw.packed(images, header.levels), stream.pixels)
    return stream


def _parts(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
