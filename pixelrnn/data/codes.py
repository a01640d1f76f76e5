"""Maps of discrete codes of the user's own, such as a VQ-VAE makes. See docs/own-data.md.

They are converted once, into a store that is named by content and settings, like images (`own/`).
"""

import hashlib
import json
import logging
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from pixelrnn import symbols
from pixelrnn.arguments import Levels, Split
from pixelrnn.data.converted import Builder
from pixelrnn.data.factory import served
from pixelrnn.data.own import code_maps, shares
from pixelrnn.data.own.code_maps import CodeMaps
from pixelrnn.data.own.store import CountedStore, command, named
from pixelrnn.data.part_writer import Part
from pixelrnn.data.stored import StoredImages
from pixelrnn.errors import ConfigError, DataError

log = logging.getLogger(__name__)

_MAPPED_FROM = 1 << 30  # bytes


@dataclass(kw_only=True)
class CodesImages(StoredImages):
    """Your own maps of codes: an .npy of integers (N, H, W) or (N, C, H, W), up to 65,536 levels.

    Codes have no order: model.embed=64 gives each a learnt vector of 64 features. Changed files are
    another data set, with another `dataset_id`.

    Args:
        path: the file of the maps, of any integer dtype.
        levels: number of codes; null: one more than the largest in the files.
        val: share of the maps that are for validation, chosen by a hash of each one's content, so
            that equal maps stay together; or another file with them. 0: none.
        test: likewise, for testing.
        classes: a file .npy of labels, whole numbers from 0, one for each map of `path`; each
            number up to the largest is a class. null: no labels.
        val_classes: those of the maps of `val`, where that is a file; all of them occur in
            `classes`.
        test_classes: those of the maps of `test`, where that is a file.
        in_memory: read the converted maps whole and compare them with their checksums; false: map
            them; null: map those of a gigabyte and more.
        root: folder of all data, where the converted maps are kept.
    """

    path: Path
    levels: Levels | None = None  # type: ignore[assignment]  # null becomes a number
    val: shares.Held = 0.1
    test: shares.Held = 0.1
    classes: Path | None = None
    val_classes: Path | None = None
    test_classes: Path | None = None
    in_memory: bool | None = None
    root: Path = Path("data")
    sources: dict[Split, CodeMaps] = field(init=False, repr=False)

    pictured = False

    def __post_init__(self) -> None:
        given: dict[Split, float | Path] = {"val": self.val, "test": self.test}
        self._check_keys(given)
        self.sources = {"train": CodeMaps(self.path, self.root)}
        self.sources |= {s: CodeMaps(p, self.root) for s, p in given.items() if isinstance(p, Path)}
        self._shares = {s: share for s, share in given.items() if isinstance(share, float)}
        self.splits = ("train", *(s for s in given if s in self.sources or self._shares[s]))
        self.image_shape = self.sources["train"].shape
        for source in self.sources.values():
            if source.shape != self.image_shape:
                raise DataError(
                    f"{source.path}: maps are {source.shape}, but those of {self.path} are "
                    f"{self.image_shape}"
                )
        self._labels = self._read_labels()
        if self._labels:
            most = int(self._labels["train"].max())
            self.class_names = tuple(map(str, range(most + 1)))
        self.dataset_id = self.store.name
        self.levels = self._levels()

    def prepare(self) -> None:
        """Convert the maps, unless it is done; safe in many processes at once.

        Raises:
            DataError: a split gets no map, a file was changed meanwhile, or the disc refuses.
        """
        self.store.prepare(self.build)
        for source in self.sources.values():
            source.remember()

    def build(self, builder: Builder) -> None:
        """Deal the maps to the splits, and write those of each in the order of their file.

        Raises:
            DataError: see `prepare`.
        """
        if self._settings["levels"] is None:
            log.warning("%s: %s", self.path, self._about_levels)
        rows = self._rows()
        for split in self.splits:
            source, indices = self.sources.get(split, self.sources["train"]), rows[split]
            builder.store.parts[split] = Part((len(indices), *self.image_shape), self._dtype.name)
            with builder.part(split) as writer:
                for block in source.rows(indices, self._dtype):
                    writer.write(block)
            if self._labels:
                labels = self._labels.get(split, self._labels["train"])[indices]
                builder.store.parts[f"{split}_labels"] = Part(labels.shape, "int64")
                with builder.part(f"{split}_labels") as writer:
                    writer.write(labels)
        for source in self.sources.values():
            source.check_unchanged()
        builder.about = {"levels": self.levels}

    @cached_property
    def store(self) -> CountedStore:
        """The converted files."""
        text = json.dumps(self._settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        words = command("codes", self)
        return CountedStore(self.root, f"codes_{named(self.path)}_{key}", words, self._settings)

    @property
    def content_id(self) -> str:
        """A hash of the content of all files: 16 hexadecimal digits."""
        return str(self._settings["content"])[:16]

    def load(self, split: Split) -> np.ndarray:
        """The maps of a split: uint8 (N, C, H, W); uint16 above 256 levels."""
        in_memory = self.in_memory
        if in_memory is None:
            each = int(np.prod(self.image_shape)) * self._dtype.itemsize
            in_memory = self.store.count(split) * each < _MAPPED_FROM
        return self.store.read(split, in_memory=in_memory)

    def labels(self, split: Split) -> np.ndarray | None:
        """The classes of the maps of a split: int64 (N,); None if there are none."""
        if not self._labels:
            return None
        return self.store.read(f"{split}_labels", in_memory=True)

    def count(self, split: Split) -> int:
        """The number of maps of a split, once they are converted."""
        return self.store.count(split)

    def estimated_count(self, split: Split) -> int:
        """See `ImageSet.estimated_count`."""
        if self.store.ready():
            return self.store.count(split)
        whole = len(self.sources.get(split, self.sources["train"]).maps)
        if split == "train":
            share = 1 - sum(self._shares.values())
        else:
            share = 1.0 if split in self.sources else self._shares[split]
        return max(1, round(whole * share))

    def state(self) -> str:
        """What there is on disc."""
        return "ready" if self.store.ready() else "not converted"

    def facts(self) -> list[tuple[str, str]]:
        """What lies in the files, and how the codes are used."""
        facts = [
            (f"{split} file", f"{source.path}: {len(source.maps):,} maps of {source.maps.dtype}")
            for split, source in self.sources.items()
        ]
        if self._settings["levels"] is None:
            facts.append(("number of codes", self._about_levels))
        counts = np.bincount(self.load("train").ravel())
        used = counts[counts > 0] / counts.sum()
        bits = -(used * np.log2(used)).sum()
        text = f"{len(used):,} of {self.levels:,} codes; each alone costs {bits:.3f} bits/dim"
        return [*facts, ("used in training", text)]

    def _check_keys(self, given: dict[Split, float | Path]) -> None:
        """Refuse keys that do not go together.

        Raises:
            ConfigError: names them.
        """
        lines = []
        for split, labels in (("val", self.val_classes), ("test", self.test_classes)):
            is_file = isinstance(given[split], Path)  # type: ignore[index]
            if labels is not None and not (is_file and self.classes):
                lines.append(f"data.{split}_classes needs data.classes and a file data.{split}")
            if is_file and self.classes and labels is None:
                lines.append(f"data.{split}={given[split]} needs data.{split}_classes, its labels")  # type: ignore[index]
        shares = [share for share in given.values() if isinstance(share, float)]
        if sum(shares) >= 1:
            lines.append(f"data.val={self.val} and data.test={self.test} leave nothing to train on")
        if lines:
            raise ConfigError("; ".join(lines))

    def _read_labels(self) -> dict[Split, np.ndarray]:
        """The labels of each file; empty if there are none.

        Raises:
            DataError: see `code_maps.labels`.
        """
        if self.classes is None:
            return {}
        train = code_maps.labels(self.classes, len(self.sources["train"].maps))
        found: dict[Split, np.ndarray] = {"train": train}
        others: dict[Split, Path | None] = {"val": self.val_classes, "test": self.test_classes}
        for split, path in others.items():
            if path is not None:
                found[split] = code_maps.labels(path, len(self.sources[split].maps), known=train)
        return found

    def _levels(self) -> int:
        """The number of codes, as given or as found.

        Raises:
            DataError: a file holds codes that are not below it.
        """
        if self.store.ready():
            return int(self.store.about()["levels"])
        largest = {source.path: source.largest() for source in self.sources.values()}
        given = self._settings["levels"]
        for path, most in largest.items():
            if given is not None and most >= given:
                raise DataError(
                    f"{path}: holds the code {most}, which is not below data.levels={given}"
                )
        return given or max(2, *(most + 1 for most in largest.values()))

    def _rows(self) -> dict[Split, np.ndarray]:
        """Which maps of its file are for each split: int64 (N,), in order.

        Raises:
            DataError: none are.
        """
        rows: dict[Split, np.ndarray] = {
            split: np.arange(len(source.maps)) for split, source in self.sources.items()
        }
        shared = {split: share for split, share in self._shares.items() if share}
        if shared:
            val, test = shared.get("val", 0.0), shared.get("test", 0.0)
            dealt = np.array(
                [shares.split_of(p, val, test) for p in self.sources["train"].places()]
            )
            rows |= {split: (dealt == split).nonzero()[0] for split in ("train", *shared)}
        for split, found in rows.items():
            if not len(found):
                raise DataError(
                    f"{self.path}: data.{split}: none of {len(self.sources['train'].maps):,} maps "
                    f"is for {split}; give more maps, or another share or a file"
                )
        return rows

    @property
    def _dtype(self) -> np.dtype:
        assert self.levels is not None  # null was replaced by what was found
        return symbols.stored(self.levels)

    @property
    def _about_levels(self) -> str:
        return (
            f"{self.levels:,} levels, one more than the largest code; say data.levels=... if the "
            "codebook has more"
        )

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """All that the converted maps depend on."""
        digests = {split: source.digest for split, source in self.sources.items()}
        content = hashlib.sha256(json.dumps(digests, sort_keys=True).encode())
        for split, labels in sorted(self._labels.items()):
            content.update(split.encode() + labels.tobytes())
        return {
            "content": content.hexdigest(),
            "levels": self.levels,
            "shares": dict(self._shares),
        }


Codes = served(CodesImages, batch_size=32)
