"""One stream of images: batches that are walked one after the other by one coder."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pixelrnn import symbols
from pixelrnn.compression import container, raw, sources
from pixelrnn.compression import labels as packing
from pixelrnn.compression.coder import Decoder, Encoder
from pixelrnn.compression.container import Header, Stream
from pixelrnn.compression.numerics import Walker
from pixelrnn.compression.progress import Progress
from pixelrnn.errors import CompressionError

log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """What a file, or a stream of it, holds.

    Attributes:
        images: uint8 (n, C, H, W), on the CPU.
        labels: int64 (n,); None if the model has no classes.
    """

    images: Tensor
    labels: Tensor | None


def encoded(
    walker: Walker,
    header: Header,
    images: Tensor,
    labels: Tensor | None,
    bar: Progress,
) -> Stream:
    """Code one stream; raw, if that is not longer."""
    encoder = Encoder()
    for part in parts(len(images), header.batch_size):
        batch, given = images[part], None if labels is None else labels[part]
        source = sources.Encoding(batch, encoder)
        row_done = bar.on_row(walker.model.rows_walked, lambda: encoder.bits)
        sources.walk(walker, source, len(batch), given, row_done)
    payload = encoder.bytes()
    bar.stream(8 * len(payload))
    packed = b""
    if labels is not None and header.classes is not None:
        packed = packing.packed(labels.cpu(), header.classes)
    digest = _digest(images, packed, header)
    if len(payload) >= header.raw_bytes(len(images)):
        return Stream(len(images), True, raw.packed(images, header.levels), digest, packed)
    return Stream(len(images), False, payload, digest, packed)


def decoded(walker: Walker, header: Header, stream: Stream, bar: Progress) -> Decoded:
    """Decode one stream, and compare its hash.

    Raises:
        CompressionError: the pixels or the labels are not those that were coded.
    """
    labels = None
    if header.classes is not None:
        labels = packing.unpacked(stream.labels, stream.images, header.classes)
    if stream.raw:
        images = raw.unpacked(stream.payload, stream.images, header.image_shape, header.levels)
        bar.images(stream.images)
    else:
        images = _walked(walker, header, stream, labels, bar)
    if _digest(images, stream.labels, header) != stream.digest:
        raise CompressionError(
            "decodes to other pixels than were coded: the machine computes otherwise, or its "
            "memory is faulty; nothing is given out"
        )
    return Decoded(images, labels)


def _digest(images: Tensor, packed_labels: bytes, header: Header) -> bytes:
    return container.digest(symbols.array(images, header.levels).tobytes(), packed_labels)


def _walked(
    walker: Walker, header: Header, stream: Stream, labels: Tensor | None, bar: Progress
) -> Tensor:
    decoder = Decoder(stream.payload)
    found = []
    for part in parts(stream.images, header.batch_size):
        n, given = part.stop - part.start, None if labels is None else labels[part]
        source = sources.Decoding(decoder)
        row_done = bar.on_row(walker.model.rows_walked)
        found.append(sources.walk(walker, source, n, given, row_done))
    return torch.cat(found)


def verified(walker: Walker, header: Header, images: Tensor, stream: Stream) -> Stream:
    """The stream if it decodes to the images, else the images raw, with a warning."""
    try:
        with Progress(header, 0, True) as silent:
            decoded(walker, header, stream, silent)
    except CompressionError as error:
        log.warning("images are stored raw, since what was coded does not decode: %s", error)
        packed = raw.packed(images, header.levels)
        return Stream(stream.images, True, packed, stream.digest, stream.labels)
    return stream


def parts(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that make up `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
