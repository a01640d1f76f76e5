"""Many images, a batch at a time: what is finished is handed over and cannot be lost."""

from collections.abc import Callable, Iterator

from torch import Tensor
from tqdm import tqdm

from pixelrnn.generation.network import OnRow

BATCH_SIZE = 64
"""Images walked together, unless told otherwise; more are faster per image.

Each takes at most 2 MB, beside 60 MB of prepared weights (float32, h = 128, 12 layers, 32x32x3);
in a PixelSNAIL, which remembers every pixel, 6 MB.
"""

Generate = Callable[[slice, OnRow], Tensor]
"""A function that makes one batch, uint8 (b, C, H, W), given which of all images the batch is, and
what to call after each row."""


def chunks(
    generate: Generate,
    n: int,
    image_shape: tuple[int, int, int],
    rows_walked: int,
    *,
    batch_size: int,
    progress: bool,
    on_row: OnRow | None,
) -> Iterator[Tensor]:
    """Generate n images; yield each batch, uint8 (b, C, H, W), when it is finished.

    An interrupt (Ctrl-C) loses the batch that is being drawn, none that was yielded before.

    Args:
        generate: see `Generate`.
        n: number of images; 0 yields nothing.
        image_shape: (C, H, W).
        rows_walked: how often a row is done for each image.
        batch_size: of all batches but the last, at least 1.
        progress: show pixels per second and the time left, on stderr.
        on_row: see `OnRow`.

    Raises:
        ValueError: n below 0 or batch_size below 1; at once, not when the first batch is asked for.
    """
    for name, value, least in (("n", n, 0), ("batch_size", batch_size, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")

    def batches() -> Iterator[Tensor]:
        _, height, width = image_shape
        total = n * height * width
        with tqdm(total=total, unit="pixel", unit_scale=True, disable=not progress) as bar:

            def row_done(images: Tensor, row: int) -> None:
                bar.update(len(images) * height * width / rows_walked)
                if on_row:
                    on_row(images, row)

            for start in range(0, n, batch_size):
                yield generate(slice(start, min(start + batch_size, n)), row_done)

    return batches()
