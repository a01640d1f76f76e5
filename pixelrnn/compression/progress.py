"""The progress of a coding: images per second, time left, bits per dimension so far."""

from collections.abc import Callable

from torch import Tensor
from tqdm import tqdm

from pixelrnn.compression.container import Header
from pixelrnn.generation.network import OnRow

_FORMAT = (
    "{percentage:3.0f}%|{bar}| {n:.0f}/{total} images [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
)


class Progress:
    """A bar on stderr; a context manager.

    Args:
        header: of the file.
        count: images in all.
        silent: show nothing.
    """

    def __init__(self, header: Header, count: int, silent: bool) -> None:
        self._header = header
        self._bits = 0  # of the streams that are finished
        self._bar = tqdm(total=count, unit="image", bar_format=_FORMAT, disable=silent)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *args: object) -> None:
        self._bar.close()

    def on_row(self, rows: int, bits: Callable[[], int] | None = None) -> OnRow:
        """What a walk calls after each row.

        Args:
            rows: of an image, as often as the walk goes over them (`rows_walked`).
            bits: of the present stream so far; None where they are not known.
        """

        def row_done(images: Tensor, row: int) -> None:
            self._bar.update(len(images) / rows)
            if bits and self._bar.n:
                so_far = (self._bits + bits()) / (self._bar.n * self._header.subpixels)
                self._bar.set_postfix_str(f"{so_far:.3f} bits/dim", refresh=False)

        return row_done

    def stream(self, bits: int) -> None:
        """Note that a stream of this many bits is finished."""
        self._bits += bits

    def note(self, text: str) -> None:
        """Show what is done now, behind the bits so far."""
        self._bar.set_postfix_str(f"{getattr(self._bar, 'postfix', None) or ''} {text}".strip())

    def images(self, n: int) -> None:
        """Note that n images are finished without a walk."""
        self._bar.update(n)
