"""Tiny published sets: raw files under root/raw, and the data module that reads them."""

from dataclasses import replace

import numpy as np

from pixelrnn.data import CIFAR10, MNIST, DownsampledImageNet, FashionMNIST
from pixelrnn.data.registry import SOURCES
from tests.data import raw_formats as raw

TRAIN, TEST = 20, 10


def labels_of(count):
    """The labels that `mnist` gives to its images."""
    return [(3 * index + 1) % 10 for index in range(count)]


def mnist(root, binarize="static", **settings):
    module = MNIST(binarize=binarize, root=root, **settings)
    folder = root / "raw"
    if binarize == "static":
        images = {
            "train": raw.pixels(0, TRAIN, 1, 28, 28, levels=2),
            "val": raw.pixels(1, TEST, 1, 28, 28, levels=2),
            "test": raw.pixels(2, TEST, 1, 28, 28, levels=2),
        }
        write, suffix = raw.write_amat, ".amat"
    else:
        images = {
            "train": raw.pixels(3, TRAIN, 1, 28, 28),
            "test": raw.pixels(4, TEST, 1, 28, 28),
        }
        write, suffix = raw.write_idx, "-images-idx3-ubyte.gz"
        module.image_set.val_size = 5
    paths = {part: [folder / f"{part}{suffix}"] for part in images}
    for part, (path,) in paths.items():
        write(path, images[part])
        if binarize != "static":
            paths[part].append(folder / f"{part}-labels-idx1-ubyte.gz")
            raw.write_idx_labels(paths[part][1], labels_of(len(images[part])))
    counts = {part: len(group) for part, group in images.items()}
    module.image_set.source = raw.spec(module.image_set.source, counts, paths)
    return module, images


def fashion_mnist(root, binarize="none", **settings):
    """Raw files where fetched ones would lie; nothing is read outside of the root."""
    module = FashionMNIST(binarize=binarize, root=root, **settings)
    images = {
        "train": raw.pixels(9, TRAIN, 1, 28, 28),
        "test": raw.pixels(10, TEST, 1, 28, 28),
    }
    files, members = {}, {}
    for part, name in (("train", "train"), ("test", "t10k")):
        kinds = [f"{name}-images-idx3-ubyte.gz", f"{name}-labels-idx1-ubyte.gz"]
        paths = [root / "raw" / f"fashion-{kind}" for kind in kinds]
        raw.write_idx(paths[0], images[part])
        raw.write_idx_labels(paths[1], labels_of(len(images[part])))
        files[part] = [
            replace(raw.described(path), published=kind)
            for path, kind in zip(paths, kinds, strict=True)
        ]
        members |= {kind: raw.md5_unpacked(path) for path, kind in zip(paths, kinds, strict=True)}
    module.image_set.val_size = 5
    counts = {part: len(group) for part, group in images.items()}
    source = module.image_set.source
    module.image_set.source = raw.spec(source, counts, files, members=members)
    return module, images


def cifar10(root, **settings):
    module = CIFAR10(**{"root": root, "val_size": 5} | settings)
    images = {"train": raw.pixels(5, 5 * TEST, 3, 32, 32), "test": raw.pixels(6, TEST, 3, 32, 32)}
    path = root / "raw" / "cifar-10-binary.tar.gz"
    raw.write_tar(path, raw.cifar_members(images["train"], images["test"]))
    counts = {part: len(group) for part, group in images.items()}
    module.image_set.source = raw.spec(
        module.image_set.source, counts, {"train": [path], "test": [path]}
    )
    return module, images


def imagenet(root, version="imagenet32_oord", count=TRAIN, **settings):
    module = DownsampledImageNet(version=version, root=root, **settings)
    size = module.image_shape[-1]
    images = {
        "train": raw.pixels(7, count, 3, size, size),
        "valid": raw.pixels(8, TEST, 3, size, size),
    }
    folder = root / "raw"
    if version.endswith("oord"):
        paths = {"train": [folder / f"train_{size}.tar"], "valid": [folder / f"valid_{size}.tar"]}
        for part, (path,) in paths.items():
            raw.write_tar(path, raw.png_members(images[part]), mode="w:")
    else:
        paths = _write_box(folder, images, parts=2 if size == 64 else 1)
    counts = {part: len(group) for part, group in images.items()}
    module.image_set.source = raw.spec(SOURCES[version], counts, paths, members={})
    return module, images


def _write_box(folder, images, parts):
    """Ten batches, the last one longer, over one zip or two; 10 sorts before 2 as text."""
    size = images["train"].shape[-1]
    starts = [len(images["train"]) // 10 * b for b in range(10)] + [len(images["train"])]
    batches = {
        f"train_data_batch_{b + 1}.npz": raw.npz(images["train"][starts[b] : starts[b + 1]])
        for b in range(10)
    }
    names = np.array_split(sorted(batches), parts)
    paths = {"train": [], "valid": [folder / f"Imagenet{size}_val_npz.zip"]}
    for number, group in enumerate(names, 1):
        path = folder / f"Imagenet{size}_train_part{number}_npz.zip"
        raw.write_zip(path, {f"Imagenet{size}_train_npz/{name}": batches[name] for name in group})
        paths["train"].append(path)
    raw.write_zip(paths["valid"][0], {"val_data.npz": raw.npz(images["valid"])})
    return paths


MAKERS = {
    "mnist_static": lambda root: mnist(root, "static"),
    "mnist_grey": lambda root: mnist(root, "none"),
    "fashion_mnist_grey": fashion_mnist,
    "cifar10": cifar10,
    "imagenet32_oord": lambda root: imagenet(root, "imagenet32_oord"),
    "imagenet64_oord": lambda root: imagenet(root, "imagenet64_oord"),
    "imagenet32_box": lambda root: imagenet(root, "imagenet32_box"),
    "imagenet64_box": lambda root: imagenet(root, "imagenet64_box"),
}
