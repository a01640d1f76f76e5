"""What there is to say of a user's images."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from pixelrnn.arguments import Split
from pixelrnn.data.own.conversion import Conversion
from pixelrnn.data.own.sources import ArraySource

Facts = list[tuple[str, str]]


def of_files(conversion: Conversion, damaged: list[tuple[str, str]]) -> Facts:
    """Where the images come from, how many there are, and of which sizes.

    Args:
        conversion: how they were converted.
        damaged: files that were found to be bad while decoding.
    """
    bad = {name for name, _ in (*conversion.problems, *damaged)}
    facts: Facts = []
    for part, source in conversion.sources.items():
        entries = [entry for entry in source.entries if conversion.title(part, entry) not in bad]
        count = sum(entry.shape[0] for entry in entries)
        said = f"{source.path}: {count:,} images"
        if source.passed_over:
            said += f"; {source.passed_over:,} other files passed over"
        if source.note:
            said += f"; {source.note}"
        if isinstance(source, ArraySource):
            arrays = source.arrays.values()
            said += "".join(f"; {one.name or 'array'} read as {one.layout}" for one in arrays)
        facts.append((f"{part} files".strip(), said))
        facts.append((f"{part} sizes".strip(), _sizes(Counter(e.shape[1:3] for e in entries))))
    return facts


def of_conversion(
    conversion: Conversion, about: Mapping[str, Any], damaged: list[tuple[str, str]]
) -> Facts:
    """What became of the files.

    Args:
        conversion: how they were converted.
        about: what the conversion noted.
        damaged: files that were found to be bad while decoding.
    """
    facts: Facts = []
    if conversion.problems or damaged:
        facts.append(("left out", conversion.summary(damaged)))
    if about["enlarged"]:
        facts.append(("enlarged", f"{about['enlarged']:,} were smaller than data.size"))
    for split, count in about["left_out"].items():
        if count:
            facts.append(
                (f"left out of {split}", f"{count:,} that equal an image kept for later splits")
            )
    return facts


def equal(images: Mapping[Split, np.ndarray]) -> str:
    """How many images equal another one, within the splits and across them.

    Args:
        images: uint8 (N, C, H, W) of each split.
    """
    hashes = {
        split: [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in array]
        for split, array in images.items()
    }
    texts = []
    for split, mine in hashes.items():
        again = len(mine) - len(set(mine))
        texts += [f"{again:,} in {split} equal another there"] if again else []
    seen = set(hashes["train"])
    for split, mine in hashes.items():
        both = sum(one in seen for one in mine) if split != "train" else 0
        texts += [f"{both:,} in {split} equal one in train"] if both else []
    return "; ".join(texts) or "none"


def _sizes(sizes: Counter[tuple[int, ...]]) -> str:
    if len(sizes) == 1:
        return f"all {_size(next(iter(sizes)))}"
    heights, widths = zip(*sizes, strict=True)
    usual, count = sizes.most_common(1)[0]
    return (
        f"{len(sizes):,} sizes, {min(heights)} to {max(heights)} rows, {min(widths)} to "
        f"{max(widths)} columns; {_size(usual)} is the most frequent ({count:,})"
    )


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"
