"""Images to bytes and back, by one walk of a model with two sources.

A file holds streams of a bounded number of images, and a stream batches that are walked together;
memory is that of one stream. The images of a batch are coded side by side in one stream, so that
the end of a stream (64 bits at most) is paid once for many images. Where this room says uint8,
images of more than 256 levels are int32 (`symbols`).
"""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, get_args

import torch
from torch import Tensor

from pixelrnn import symbols, threads
from pixelrnn.compression import container, headers, streams
from pixelrnn.compression.headers import Machine
from pixelrnn.compression.numerics import Mode, Walker
from pixelrnn.compression.progress import Progress
from pixelrnn.compression.streams import Decoded
from pixelrnn.models.base import ImageDistribution

BATCH_SIZE = 256
"""Images coded together, unless told otherwise. Small networks are 1.5 times as fast as with 64;
each image takes at most 2 MB, as in `generation.chunks`."""

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
        labels: bytes of the labels, which a class-conditional model must know before it decodes.
        payload: bytes of the images.
    """

    images: int = 0
    streams: int = 0
    raw_streams: int = 0
    fixed: int = 0
    labels: int = 0
    payload: int = 0

    def line(self, image_shape: tuple[int, int, int]) -> str:
        """The sizes in one line: images, bits per dimension of the payload, labels, fixed part."""
        dims = max(1, self.images * math.prod(image_shape))
        raw_part = f", {self.raw_streams} of {self.streams} streams raw" if self.raw_streams else ""
        label_part = f", {self.labels:,} bytes of labels" if self.labels else ""
        return (
            f"{self.images:,} images in {self.payload:,} bytes, {8 * self.payload / dims:.4f} "
            f"bits/dim{label_part}, and {self.fixed:,} bytes of headers{raw_part}"
        )


def compress(
    model: ImageDistribution,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    mode: Mode = "fast",
    batch_size: int = BATCH_SIZE,
    verify: bool = True,
    progress: bool = False,
) -> bytes:
    """Code images without loss, in about as many bits as `-model.log_prob(images)` says.

    Labels are coded too, in log2 of the number of classes bits each.

    Args:
        model: where it stands (device, dtype) is where it computes; decode with the same.
        images: uint8 (N, C, H, W).
        labels: int64 (N,) for a class-conditional model, else None.
        mode: "portable" decodes on every CPU, and takes longer (`portable`).
        batch_size: images walked together; more are faster.
        verify: decode what was coded and compare; takes as long again.
        progress: show images per second and bits per dimension, on stderr.

    Returns:
        The bytes of a file (`container`).

    Raises:
        ValueError: wrong images, labels, mode or batch size.
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
        mode=mode,
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
        ValueError: `machine` is neither of the two.
        CompressionError: the data are damaged, or the model or the machine is another.
    """
    return decompress_labelled(model, data, machine=machine, progress=progress).images


def decompress_labelled(
    model: ImageDistribution,
    data: bytes,
    *,
    machine: Machine = "same",
    progress: bool = False,
) -> Decoded:
    """Give back the images of a file and, of a class-conditional model, their labels.

    Args:
        model: see `decompress`.
        data: see `decompress`.
        machine: see `decompress`.
        progress: see `decompress`.
    """
    parts = list(read(model, io.BytesIO(data), machine=machine, progress=progress))
    nothing = torch.zeros(0, *model.image_shape, dtype=symbols.dtype(model.levels))
    images = torch.cat([nothing, *(part.images for part in parts)])
    if model.classes is None:
        return Decoded(images, None)
    found = [part.labels for part in parts if part.labels is not None]
    return Decoded(images, torch.cat([torch.zeros(0, dtype=torch.int64), *found]))


def write(
    model: ImageDistribution,
    count: int,
    take: Take,
    file: IO[bytes],
    *,
    labels: Tensor | None = None,
    mode: Mode = "fast",
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
        mode: see `compress`.
        batch_size: see `compress`.
        verify: see `compress`.
        progress: see `compress`.
    """
    _check_choice("mode", mode, Mode)
    if not 1 <= batch_size <= container.BATCH_LIMIT:
        raise ValueError(f"batch_size must be in 1 .. {container.BATCH_LIMIT}, got {batch_size}")
    model.check_labels(labels, count)
    walker = Walker(model, mode)
    header = headers.header_of(model, walker, count, batch_size)
    writer = container.Writer(file, header)
    report = Report(images=count, fixed=writer.header_bytes)
    with threads.limited(header.threads), Progress(header, count, not progress) as bar:
        for part in streams.parts(count, header.stream_images):
            images = take(part).cpu()
            model.check_images(images)
            given = None if labels is None else labels[part]
            stream = streams.encoded(walker, header, images, given, bar)
            if verify and not stream.raw:
                bar.note("verifying")
                stream = streams.verified(walker, header, images, stream)
            writer.write(stream)
            report.streams += 1
            report.raw_streams += stream.raw
            report.fixed += stream.overhead
            report.labels += len(stream.labels)
            report.payload += len(stream.payload)
    return report


def read(
    model: ImageDistribution,
    file: IO[bytes],
    *,
    machine: Machine = "same",
    progress: bool = False,
) -> Iterator[Decoded]:
    """Decode an open file, a stream at a time; each is checked before it is yielded.

    Args:
        model: see `decompress`.
        file: open for reading bytes.
        machine: see `decompress`.
        progress: see `decompress`.

    Yields:
        The images of a stream and their labels.
    """
    _check_choice("machine", machine, Machine)
    reader = container.Reader(file)
    header = reader.header
    headers.check_model(model, header)
    walker = Walker(model, header.mode)
    with threads.limited(header.threads):
        headers.check_machine(model, walker, header, machine)
    with Progress(header, header.count, not progress) as bar:
        for part in streams.parts(header.count, header.stream_images):
            stream = reader.read(part.stop - part.start)
            with threads.limited(header.threads):  # not while the caller has the images
                found = streams.decoded(walker, header, stream, bar)
            yield found
    reader.end()


def _check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse an argument that is none of the literals of a type."""
    allowed = get_args(choices)
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")
