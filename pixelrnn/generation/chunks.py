"""Many images, a batch at a time: what is finished is handed over and cannot be lost."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from tqdm import tqdm

from pixelrnn.generation import raster, reference
from pixelrnn.generation.sources import Draw, Generators, Source

BATCH_SIZE = 64
"""Images walked together, unless told otherwise; more are faster per image.

Each takes at most 2 MB, beside 60 MB of prepared weights (float32, h = 128, 12 layers, 32x32x3).
"""

SourceOf = Callable[[slice], Source]
"""Makes the source of a batch, given which of all images it is."""


def chunks(
    network: reference.Network,
    n: int,
    source_of: SourceOf,
    *,
    batch_size: int,
    progress: bool,
    on_row: reference.OnRow | None,
) -> Iterator[Tensor]:
    """Generate n images; yield each batch, uint8 (b, C, H, W), when it is finished.

    An interrupt (Ctrl-C) loses the batch that is being drawn, none that was yielded before.

    Args:
        network: see `raster.generate`.
        n: number of images, at least 1.
        source_of: see `SourceOf`.
        batch_size: of all batches but the last, at least 1.
        progress: show pixels per second and the time left, on stderr.
        on_row: see `reference.OnRow`.

    Raises:
        ValueError: n or batch_size below 1; at once, not when the first batch is asked for.
    """
    for name, value in (("n", n), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return _chunks(network, n, source_of, batch_size, progress, on_row)


def _chunks(
    network: reference.Network,
    n: int,
    source_of: SourceOf,
    batch_size: int,
    progress: bool,
    on_row: reference.OnRow | None,
) -> Iterator[Tensor]:
    _, height, width = network.image_shape
    total = n * height * width
    with tqdm(total=total, unit="pixel", unit_scale=True, disable=not progress) as bar:

        def row_done(images: Tensor, row: int) -> None:
            bar.update(len(images) * width)
            if on_row:
                on_row(images, row)

        for start in range(0, n, batch_size):
            part = slice(start, min(start + batch_size, n))
            source = source_of(part)
            yield raster.generate(network, part.stop - part.start, source, on_row=row_done)


def draws(n: int, generators: Generators, temperature: float) -> SourceOf:
    """Sources that draw.

    Raises:
        ValueError: not n generators, or temperature not above 0; at once.
    """
    if generators is None or isinstance(generators, torch.Generator):
        draw = Draw(generators, temperature)
        return lambda part: draw
    if len(generators) != n:
        raise ValueError(f"one generator for each of {n} images, got {len(generators)}")
    Draw(generators, temperature)  # refuses a temperature now, not when the first batch is due
    return lambda part: Draw(generators[part], temperature)
