"""One stream of images: batches that are walked one after the other by one coder."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor

from pixelrnn.compression import container, raw, sources, tables
from pixelrnn.compression.coder import Decoder, Encoder
from pixelrnn.compression.container import Header, Stream
from pixelrnn.compression.numerics import Walker
from pixelrnn.compression.progress import Progress
from pixelrnn.errors import CompressionError

log = logging.getLogger(__name__)


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
        batch, given = images[part], None
        if labels is not None and walker.model.classes is not None:
            given = labels[part]
            table = tables.uniform(len(batch), walker.model.classes)
            encoder.encode(given.cpu().numpy(), table)
        source = sources.Encoding(batch, encoder)
        row_done = bar.on_row(walker.model.rows_walked, lambda: encoder.bits)
        sources.walk(walker, source, len(batch), given, row_done)
    payload = encoder.bytes()
    bar.stream(8 * len(payload))
    pixels = container.pixels_hash(images.contiguous().numpy().tobytes())
    if len(payload) >= header.raw_bytes(len(images)):
        return Stream(len(images), True, raw.packed(images, header.levels), pixels)
    return Stream(len(images), False, payload, pixels)


def decoded(walker: Walker, header: Header, stream: Stream, bar: Progress) -> Tensor:
    """Decode one stream, and compare its pixels' hash.

    Raises:
        CompressionError: the pixels are not those that were coded.
    """
    if stream.raw:
        images = raw.unpacked(stream.payload, stream.images, header.image_shape, header.levels)
        bar.images(stream.images)
    else:
        images = _walked(walker, header, stream, bar)
    if container.pixels_hash(images.contiguous().numpy().tobytes()) != stream.pixels:
        raise CompressionError(
            "decodes to other pixels than were coded: the machine computes otherwise, or its "
            "memory is faulty; nothing is given out"
        )
    return images


def _walked(walker: Walker, header: Header, stream: Stream, bar: Progress) -> Tensor:
    decoder = Decoder(stream.payload)
    found = []
    for part in parts(stream.images, header.batch_size):
        n, labels = part.stop - part.start, None
        if walker.model.classes is not None:
            coded = decoder.decode(tables.uniform(n, walker.model.classes))
            labels = torch.from_numpy(coded)
        source = sources.Decoding(decoder)
        row_done = bar.on_row(walker.model.rows_walked)
        found.append(sources.walk(walker, source, n, labels, row_done))
    return torch.cat(found)


def verified(walker: Walker, header: Header, images: Tensor, stream: Stream) -> Stream:
    """The stream if it decodes to the images, else the images raw, with a warning."""
    try:
        with Progress(header, 0, True) as silent:
            decoded(walker, header, stream, silent)
    except CompressionError as error:
        log.warning("images are stored raw, since what was coded does not decode: %s", error)
        return Stream(stream.images, True, raw.packed(images, header.levels), stream.pixels)
    return stream


def parts(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that make up `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
