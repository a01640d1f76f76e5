"""Images of the user's own: folders, archives and arrays. See docs/own-data.md.

They are looked at when the set is made, since its shape, its classes and its identity come from
them, and converted once, into a store that is named by content and settings (`own/`).
"""

import hashlib
import json
import logging
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Positive, Split
from pixelrnn.data.batches import RandomDraws
from pixelrnn.data.converted import Builder
from pixelrnn.data.factory import served
from pixelrnn.data.mnist import Binarize, binarized
from pixelrnn.data.own import classes, description, shares, sizes, sources
from pixelrnn.data.own.arrays import Layout
from pixelrnn.data.own.conversion import Conversion
from pixelrnn.data.own.fitting import Filter, Fit, Fitting
from pixelrnn.data.own.shares import Side
from pixelrnn.data.own.sources import Entry, Source
from pixelrnn.data.own.store import CountedStore, command, named
from pixelrnn.data.stored import StoredImages
from pixelrnn.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Shade = Annotated[int, Field(ge=0, le=255)]
Size = tuple[Positive, Positive]

_MAPPED_FROM = 1 << 30  # bytes


@dataclass(kw_only=True)
class OwnImages(StoredImages):
    """Your own images: a folder, a .zip or .tar, an .npy or .npz; 256 levels, or fewer.

    A folder may have folders in it; if all of them are called train, val and test, they are the
    splits. Changed files are another data set, with another `dataset_id`.

    Args:
        path: a folder or an archive (.zip, .tar, also packed) of PNG, JPEG, WebP and GIF files; or
            arrays of uint8 (.npy, .npz).
        size: rows and columns of all images: one number, or [rows, columns]; null: as they are, if
            all are alike.
        fit: how an image gets this size: resize scales it until it covers the size, and cuts two
            sides; crop takes its centre, unscaled; pad scales it down to lie within the size, with
            background around it; tiles takes all pieces of this size that lie side by side in it.
        short_side: for crop and tiles: the image is scaled first, so that its shorter side has so
            many pixels; null: not scaled.
        filter: of all scaling (box, bilinear, bicubic, lanczos), with antialias.
        colors: 1 or 3; null: 3 if any image is in colour, else 1; arrays keep their channels.
        background: what lies behind transparent pixels and around padded images: a shade, 0 to
            255, or [red, green, blue].
        levels: values of a sub-pixel, a power of 2: the high bits of the 256 shades.
        binarize: as of mnist: "dynamic": training images are drawn with probability shade / 255 at
            every presentation, the others once; "static": all are drawn once; "threshold": shade
            >= 128; "none": not binary.
        val: share of the images that are for validation, chosen by a hash of each one's content; or
            another folder or file with them. 0: none. Folders (or arrays of an .npz) called val or
            test go before a share; beside another folder or file they are refused.
        test: likewise, for testing.
        classes: folders: the name of an image's folder is its class; labels: an .npz holds labels
            beside the images; null: no classes.
        layout: axes of arrays: NHWC, NCHW or NHW; null: seen by their lengths.
        skip_bad: leave out files that cannot be used, instead of refusing all.
        in_memory: read the images whole and compare them with their checksums; false: map them;
            null: map those of a gigabyte and more.
        root: folder of all data, where the converted images are kept.
    """

    path: Path
    size: Positive | Size | None = None
    fit: Fit = "resize"
    short_side: Positive | None = None
    filter: Filter = "lanczos"
    colors: Literal[1, 3] | None = None
    background: Shade | tuple[Shade, Shade, Shade] = 255
    levels: Literal[2, 4, 8, 16, 32, 64, 128, 256] = 256
    binarize: Binarize = "none"
    val: shares.Held = 0.1
    test: shares.Held = 0.1
    classes: Literal["folders", "labels"] | None = None
    layout: Layout | None = None
    skip_bad: bool = False
    in_memory: bool | None = None
    root: Path = Path("data")
    conversion: Conversion = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check_keys()
        held: dict[Split, float | Path] = {"val": self.val, "test": self.test}
        found: dict[Side, Source] = {"": self._opened(self.path)}
        found |= {s: self._opened(p, s) for s, p in held.items() if isinstance(p, Path)}
        named = {entry.part for entry in found[""].entries}
        shares.check_given_once(self.path, held, named)
        dealt: dict[Split, float] = {
            split: where if isinstance(where, float) and split not in named else 0.0
            for split, where in held.items()
        }
        present = [split for split in held if split in {*named, *found} or dealt[split]]
        self.splits = ("train", *present)
        self.class_names = classes.names(found) if self.classes else ()
        usable = [entry for one in found.values() for entry in one.entries if not entry.problem]
        channels: int = self.colors or max((entry.shape[3] for entry in usable), default=1)
        self.conversion = Conversion(
            found,
            self._fitting(usable, channels),
            channels,
            self._background,
            dealt,
            self.class_names,
            self.skip_bad,
        )
        self.conversion.refuse([])
        self.image_shape = (channels, *self.conversion.fitting.size)
        self.dataset_id = f"{self.store.name}{self._suffix}"
        if self.binarize != "none":
            self.levels = 2

    def prepare(self) -> None:
        """Convert the images, unless it is done; safe in many processes at once.

        Raises:
            DataError: a file is damaged, a split gets no image, or the disc refuses.
        """
        self.store.prepare(self.build)
        self.conversion.refuse(self._damaged())
        self._check_shades()
        for source in self.conversion.sources.values():
            source.remember()

    def build(self, builder: Builder) -> None:
        """Convert all images.

        Raises:
            DataError: see `prepare`.
        """
        self.conversion.build(builder)
        skipped = builder.about["damaged"]
        if self.conversion.problems or skipped:
            log.warning("%s; they are left out", self.conversion.summary(skipped))

    @cached_property
    def store(self) -> CountedStore:
        """The converted files."""
        text = json.dumps(self._settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        words = command("images", self)
        return CountedStore(self.root, f"images_{named(self.path)}_{key}", words, self._settings)

    @property
    def content_id(self) -> str:
        """A hash of the names and the content of all files: 16 hexadecimal digits."""
        return str(self._settings["content"])[:16]

    def load(self, split: Split) -> np.ndarray:
        """The images of a split, by the names of their files: uint8 (N, C, H, W)."""
        shades = binarized(self._shades(split), self.binarize, split)
        if self.binarize != "none" or self.levels == 256:
            return shades
        return shades >> (8 - self.levels.bit_length() + 1)

    def labels(self, split: Split) -> np.ndarray | None:
        """The classes of the images of a split: int64 (N,); None if there are none."""
        if not self.class_names:
            return None
        return self.store.read(f"{split}_labels", in_memory=True)

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """Images drawn anew in every epoch if `binarize` is "dynamic"."""
        return RandomDraws(self._shades("train"), seed) if self.binarize == "dynamic" else None

    def count(self, split: Split) -> int:
        """The number of images of a split, once they are converted."""
        return self.store.count(split)

    def estimated_count(self, split: Split) -> int:
        """See `ImageSet.estimated_count`."""
        if self.store.ready():
            return self.store.count(split)
        return self.conversion.estimated_count(split)

    def state(self) -> str:
        """What there is on disc."""
        return "ready" if self.store.ready() else "not converted"

    def facts(self) -> list[tuple[str, str]]:
        """What lies in the files, what was left out, and how many images are equal."""
        damaged = self._damaged()
        return [
            *description.of_files(self.conversion, damaged),
            *description.of_conversion(self.conversion, self.store.about(), damaged),
            ("equal images", description.equal({s: self._shades(s) for s in self.splits})),
        ]

    def _shades(self, split: Split) -> np.ndarray:
        """The converted images of a split: uint8 (N, C, H, W), 256 shades."""
        in_memory = self.in_memory
        if in_memory is None:
            count = self.store.count(split)
            in_memory = count * int(np.prod(self.image_shape)) < _MAPPED_FROM
        return self.store.read(split, in_memory=in_memory)

    def _damaged(self) -> list[tuple[str, str]]:
        return [(name, kind) for name, kind in self.store.about()["damaged"]]

    def _check_shades(self) -> None:
        """Refuse images of which nothing would be left.

        Raises:
            DataError: they are no shades, or very dark.
        """
        key = f"data.levels={self.levels}"
        least = 256 // self.levels
        if self.binarize != "none":
            key = f"data.binarize={self.binarize}"
            least = 128 if self.binarize == "threshold" else 2
        if (brightest := self.store.about()["brightest"]) < least and self.levels < 256:
            raise DataError(
                f"{self.path}: all values are below {brightest + 1}, and with {key} every image "
                "would be black; data=codes takes symbols that are no shades"
            )

    def _check_keys(self) -> None:
        """Refuse keys that do not go together.

        Raises:
            ConfigError: names them.
        """
        lines = []
        if self.fit != "resize" and self.size is None:
            lines.append(f"data.fit={self.fit} needs data.size")
        if self.short_side and self.fit not in ("crop", "tiles"):
            lines.append(f"data.short_side is for data.fit=crop or tiles, not {self.fit}")
        if self.binarize != "none" and self.levels != 256:
            lines.append(f"data.binarize={self.binarize} makes 2 levels: leave data.levels=256")
        if sum(share for share in (self.val, self.test) if isinstance(share, float)) >= 1:
            lines.append(f"data.val={self.val} and data.test={self.test} leave nothing to train on")
        if lines:
            raise ConfigError("; ".join(lines))

    def _opened(self, path: Path, part: Side = "") -> Source:
        return sources.opened(
            path.expanduser(), self.root, part=part, layout=self.layout, classes=self.classes
        )

    def _fitting(self, usable: list[Entry], channels: int) -> Fitting:
        """How images get their size.

        Raises:
            DataError: the images differ in size, and no size is given.
        """
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        if size is None:
            size = sizes.common(self.path, usable)
        red, green, blue = self._background
        shades = {1: (round(0.299 * red + 0.587 * green + 0.114 * blue),), 3: self._background}
        background = shades.get(channels, (red,) * channels)
        return Fitting(size, self.fit, self.short_side, self.filter, background)

    @property
    def _background(self) -> tuple[int, int, int]:
        given = self.background
        return (given, given, given) if isinstance(given, int) else given

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """All that the converted images depend on."""
        conversion = self.conversion
        digests = {part: source.digest for part, source in conversion.sources.items()}
        content = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
        return {
            "content": content,
            "fitting": list(conversion.fitting),
            "colors": conversion.colors,
            "background": list(self._background),
            "shares": dict(conversion.shares),
            "classes": self.classes,
            "layout": self.layout,
        }

    @property
    def _suffix(self) -> str:
        if self.binarize != "none":
            return f"_{self.binarize}"
        return "" if self.levels == 256 else f"_{self.levels}_levels"


Images = served(OwnImages, name="Images")
