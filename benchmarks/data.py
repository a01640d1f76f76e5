"""How fast images come: `python -m benchmarks.data [--quick] [--out FILE]`.

Random batches from a memory map, loaders against the training step that they feed, and the
conversion of PNG tars. Needs about 2 GB of disc in the folder for temporary files.
"""

import io
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import report
from pixelrnn.data import CIFAR10, MNIST, DownsampledImageNet, Patches, registry
from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.batches import Images, RandomDraws
from pixelrnn.data.download import checksum
from pixelrnn.data.published import PublishedImages
from pixelrnn.data.registry import RawFile
from pixelrnn.data.sampler import Batch, BatchOrder
from pixelrnn.models import DiagonalBiLSTM

BATCH = 64
WANTED_MS = 1.0
WANTED_RATIO = 20.0


def main() -> None:
    options = report.parser(__doc__.splitlines()[0], "data").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *random_batches(Path(folder), 30_000 if options.quick else 300_000),
            *loaders(steps=3 if options.quick else 10),
            *conversion(Path(folder), 1000 if options.quick else 20_000),
        ]
    report.finish("Data", rows, options.out)


def random_batches(folder: Path, images: int) -> Iterator[dict[str, Any]]:
    """Milliseconds of a random batch of 64 out of a mapped file, with a warm and a cold cache."""
    path = folder / "images.npy"
    mapped = np.lib.format.open_memmap(path, "w+", np.uint8, (images, 3, 32, 32))
    for start in range(0, images, 10_000):
        mapped[start : start + 10_000] = np.random.default_rng(start).integers(
            256, size=mapped[start : start + 10_000].shape, dtype=np.uint8
        )
    mapped.flush()
    del mapped
    data = Images(np.load(path, mmap_mode="r"))
    for cache in ("cold", "warm"):
        if cache == "cold":
            with open(path, "rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        times = []
        for epoch in range(1 if cache == "cold" else 3):
            order = BatchOrder(images, BATCH, seed=0)
            order.set_epoch(epoch)
            for number, batch in enumerate(order):
                if number == 500:
                    break
                times.append(seconds(partial(data.__getitem__, batch)))
        yield {
            "what": f"random batch of {BATCH}, {images:,} mapped images 3x32x32, {cache} cache",
            "value": 1000 * statistics.median(times),
            "worst 1 %": 1000 * float(np.quantile(times, 0.99)),
            "unit": "ms",
            "wanted": f"< {WANTED_MS:g}" if cache == "warm" else "",
        }
    path.unlink()


def loaders(steps: int) -> Iterator[dict[str, Any]]:
    """Images/s of loaders, and as a multiple of what training the smallest paper model takes.

    That is the paper's MNIST network: Diagonal BiLSTM, 7 layers, h = 16, batches of 16.
    """
    random = np.random.default_rng(0)
    digits = random.integers(2, size=(50_000, 1, 28, 28), dtype=np.uint8)
    photos = random.integers(256, size=(45_000, 3, 32, 32), dtype=np.uint8)
    consumed = training_rate(digits, steps)
    yield {
        "what": "training Diagonal BiLSTM, 7 layers, h = 16, MNIST, batch 16",
        "value": consumed,
        "unit": "images/s",
    }
    static = _with_images(MNIST(batch_size=16), digits)
    dynamic = MNIST(binarize="dynamic", batch_size=16)
    dynamic.image_set.training_set = lambda seed: RandomDraws(255 * digits, seed)
    candidates = {
        "loader of MNIST, static": static,
        "loader of MNIST, dynamic": dynamic,
        "loader of CIFAR-10": _with_images(CIFAR10(batch_size=16), photos),
        "loader of random crops, 32x32 photographs": Patches(size=32, batch_size=16),
    }
    for name, module in candidates.items():
        rate = statistics.median(loader_rate(module) for _ in range(3))
        yield {
            "what": f"{name}, batch 16, no workers",
            "value": rate,
            "unit": "images/s",
            "times the training": rate / consumed,
            "wanted": f"> {WANTED_RATIO:g} times",
        }


def training_rate(images: np.ndarray, steps: int) -> float:
    """Images/s of forward, backward and optimiser step on this machine."""
    torch.manual_seed(0)
    model = DiagonalBiLSTM((1, 28, 28), 2, hidden=16, layers=7)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    batch = Images(images)[Batch(0, np.arange(16))]

    def step() -> None:
        optimizer.zero_grad()
        (-model.log_prob(batch).mean()).backward()
        optimizer.step()

    step()
    return 16 / statistics.median(seconds(step) for _ in range(steps))


def loader_rate(module: PixelDataModule) -> float:
    """Images/s of a pass over at most 1000 batches, the first left out."""
    batches = iter(module.train_dataloader())
    next(batches)
    count = 0
    start = time.perf_counter()
    for number, batch in enumerate(batches):
        count += len(batch.images)
        if number == 1000:
            break
    return count / (time.perf_counter() - start)


def conversion(folder: Path, images: int) -> Iterator[dict[str, Any]]:
    """Images/s from PNG tar to array, checksum and sync included; crops of photographs."""
    for size in (32, 64):
        root = folder / str(size)
        module = DownsampledImageNet(version=f"imagenet{size}_oord", root=root)
        names = {"train": f"train_{size}x{size}.tar", "valid": f"valid_{size}x{size}.tar"}
        counts = {"train": images, "valid": images // 100}
        files = {
            part: (_png_tar(root / "raw" / name, size, counts[part]),)
            for part, name in names.items()
        }
        source = registry.SOURCES[module.dataset_id]
        assert isinstance(module.image_set, PublishedImages)
        module.image_set.source = replace(source, parts=counts, files=files)
        took = seconds(module.prepare_data)
        rate = sum(counts.values()) / took
        yield {
            "what": f"conversion of a PNG tar, {size}x{size}",
            "value": rate,
            "unit": "images/s",
            "minutes for 1,331,148": 1_331_148 / rate / 60,
        }


def _png_tar(path: Path, size: int, count: int) -> RawFile:
    """Random crops of the photographs, as a tar of PNG files in shuffled order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    crops = Patches(size=size, crops_per_epoch=count).training_set()
    order = np.random.default_rng(0).permutation(count)
    with tarfile.open(path, "w:") as archive:
        for block in np.array_split(order, -(-count // 500)):
            for index, crop in zip(block, crops[Batch(0, block)].images.numpy(), strict=True):
                buffer = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(crop.transpose(1, 2, 0))).save(buffer, "PNG")
                member = tarfile.TarInfo(f"{path.stem}/{index:07d}.png")
                member.size = buffer.tell()
                buffer.seek(0)
                archive.addfile(member, buffer)
    return RawFile(path.name, path.stat().st_size, checksum(path, "sha256"))


def _with_images(module: PixelDataModule, images: np.ndarray) -> PixelDataModule:
    module.image_set.load = lambda split: images
    module.image_set.labels = lambda split: np.zeros(len(images), np.int64)
    return module


def seconds(work: Callable[[], Any]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
