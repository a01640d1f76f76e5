"""Writes tiny files in the published formats, byte by byte, with no help from the readers."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
from PIL import Image

from pixelrnn.data.registry import RawFile


def pixels(seed, count, *shape, levels=256):
    return np.random.default_rng(seed).integers(levels, size=(count, *shape), dtype=np.uint8)


def described(path, *urls):
    """The table's entry for a file as it lies there now."""
    data = path.read_bytes()
    return RawFile(path.name, len(data), hashlib.sha256(data).hexdigest(), tuple(urls))


def spec(source, parts, files, **changes):
    """A table entry with other counts and files: part -> paths or RawFiles."""
    entries = {
        part: tuple(f if isinstance(f, RawFile) else described(f) for f in group)
        for part, group in files.items()
    }
    return replace(source, parts=parts, files=entries, **changes)


def md5_unpacked(path):
    return hashlib.md5(gzip.decompress(path.read_bytes())).hexdigest()


def write_idx(path, images):
    header = struct.pack(">IIII", 2051, len(images), 28, 28)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header + images.tobytes(), mtime=0))


def write_idx_labels(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(struct.pack(">II", 2049, len(labels)) + bytes(labels), mtime=0))


def write_amat(path, images):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [" ".join(str(pixel) for pixel in image.ravel()) + "\n" for image in images]
    path.write_text("".join(lines), encoding="ascii")


def cifar_records(labels, images):
    return b"".join(
        bytes([label]) + image.tobytes() for label, image in zip(labels, images, strict=True)
    )


def write_tar(path, members, mode="w:gz"):
    """Members: name -> bytes, or a prepared TarInfo without content; a list keeps doubles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def cifar_members(train, test):
    """The archive's members, in an order that is not that of the names."""
    per_batch = len(train) // 5
    batches = {f"data_batch_{b + 1}": train[b * per_batch :][:per_batch] for b in range(5)}
    members = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\nautomobile\n"}
    for name, images in reversed([*batches.items(), ("test_batch", test)]):
        labels = [index % 10 for index in range(len(images))]
        members[f"cifar-10-batches-bin/{name}.bin"] = cifar_records(labels, images)
    return members


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def png(image, mode="RGB"):
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.convert(mode).save(buffer, format="PNG")
    return buffer.getvalue()


def png_members(images, folder="train_32x32"):
    """PNG files whose order in the archive is not that of their names."""
    names = [f"{folder}/{index:07d}.png" for index in range(len(images))]
    order = np.random.default_rng(1).permutation(len(images))
    return {names[index]: png(images[index]) for index in order}


def npz(images, **extra):
    buffer = io.BytesIO()
    flat = images.reshape(len(images), -1)
    labels = np.arange(1, len(images) + 1)
    np.savez(buffer, data=flat, labels=labels, mean=flat.mean(0), **extra)
    return buffer.getvalue()


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
