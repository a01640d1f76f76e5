"""The published data sets: where their files are, and what must come out of them.

One table for all sets that have files. Every file has a length and a SHA-256; nothing is read
before both agree. URLs stand in the order in which they are tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

TORCH_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
GOOGLE_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
LECUN_MNIST = "http://yann.lecun.com/exdb/mnist/"
LAROCHELLE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
KERAS_MNIST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TORONTO = "https://www.cs.toronto.edu/~kriz/"
TORONTO_CAVE = "https://cave.cs.toronto.edu/kriz/"
IMAGENET_BOX = "https://image-net.org/data/downsample/"


@dataclass(frozen=True)
class RawFile:
    """A file as published.

    Attributes:
        name: under <root>/raw.
        bytes: its length.
        sha256: its checksum.
        urls: where it is fetched from, best first; none: it has to be put there by hand.
    """

    name: str
    bytes: int
    sha256: str
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A published set.

    Attributes:
        name: of the set, and of its folder under the root.
        title: one line.
        image_shape: (C, H, W).
        parts: the converted arrays and their numbers of images.
        files: the raw files of each part, in order.
        licence: one line.
        homepage: where the set is described.
        by_hand: how to get files that cannot be fetched; {path} is where one has to go.
        members: MD5 of the files inside an archive, which vouch for it if it was packed anew.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    parts: Mapping[str, int]
    files: Mapping[str, tuple[RawFile, ...]]
    licence: str
    homepage: str
    by_hand: str = ""
    members: Mapping[str, str] = field(default_factory=dict)


def _mirrored(name: str, size: int, sha256: str, *bases: str) -> tuple[RawFile, ...]:
    return (RawFile(name, size, sha256, tuple(base + name for base in bases)),)


MNIST_STATIC = Source(
    name="mnist_static",
    title="MNIST, binarised once by Larochelle and Murray (the benchmark)",
    image_shape=(1, 28, 28),
    parts={"train": 50_000, "val": 10_000, "test": 10_000},
    files={
        "train": _mirrored(
            "binarized_mnist_train.amat",
            78_400_000,
            "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            LAROCHELLE,
            KERAS_MNIST,
        ),
        "val": _mirrored(
            "binarized_mnist_valid.amat",
            15_680_000,
            "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            LAROCHELLE,
            KERAS_MNIST,
        ),
        "test": _mirrored(
            "binarized_mnist_test.amat",
            15_680_000,
            "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            LAROCHELLE,
            KERAS_MNIST,
        ),
    },
    licence="none stated; derived from MNIST (CC BY-SA 3.0, LeCun and Cortes)",
    homepage="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
)

MNIST_GREY = Source(
    name="mnist_grey",
    title="MNIST, 256 grey levels",
    image_shape=(1, 28, 28),
    parts={"train": 60_000, "test": 10_000},
    files={
        "train": _mirrored(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            TORCH_MNIST,
            GOOGLE_MNIST,
            LECUN_MNIST,
        ),
        "test": _mirrored(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            TORCH_MNIST,
            GOOGLE_MNIST,
            LECUN_MNIST,
        ),
    },
    licence="CC BY-SA 3.0 (Yann LeCun and Corinna Cortes)",
    homepage="http://yann.lecun.com/exdb/mnist/",
)

CIFAR10_ARCHIVE = _mirrored(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    TORONTO,
    TORONTO_CAVE,
)
CIFAR10 = Source(
    name="cifar10",
    title="CIFAR-10 (test and training images contain near-duplicates, as published)",
    image_shape=(3, 32, 32),
    parts={"train": 50_000, "test": 10_000},
    files={"train": CIFAR10_ARCHIVE, "test": CIFAR10_ARCHIVE},
    licence="none stated; cite Krizhevsky, Learning Multiple Layers of Features, 2009",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    members={  # of the Python version, cifar-10-batches-py
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)

_IMAGENET_LICENCE = "ImageNet terms of access: non-commercial research and education"
_OORD_BY_HAND = (
    "The set is no longer on image-net.org. It lives on as a torrent: fetch it with\n"
    "  aria2c --seed-time=0 'magnet:?xt=urn:btih:{hash}'\n"
    "and move {name} to {path}"
)
_BOX_BY_HAND = (
    "ImageNet asks for an account and agreement to its terms: log in at\n"
    "  https://image-net.org/download-images\n"
    "then fetch " + IMAGENET_BOX + "{name} (for instance with wget -c) to {path}"
)


def _oord(size: int, train: RawFile, valid: RawFile, info_hash: str) -> Source:
    return Source(
        name=f"imagenet{size}_oord",
        title=f"Downsampled ImageNet {size}x{size}, van den Oord et al. 2016 (the paper's)",
        image_shape=(3, size, size),
        parts={"train": 1_281_149, "valid": 49_999},
        files={"train": (train,), "valid": (valid,)},
        licence=_IMAGENET_LICENCE,
        homepage="https://academictorrents.com/details/" + info_hash,
        by_hand=_OORD_BY_HAND.replace("{hash}", info_hash),
    )


def _box(
    size: int, train: tuple[RawFile, ...], valid: RawFile, members: Mapping[str, str]
) -> Source:
    return Source(
        name=f"imagenet{size}_box",
        title=f"Downsampled ImageNet {size}x{size}, Chrabaszcz et al. 2017 (box filter)",
        image_shape=(3, size, size),
        parts={"train": 1_281_167, "valid": 50_000},
        files={"train": train, "valid": (valid,)},
        licence=_IMAGENET_LICENCE,
        homepage="https://image-net.org/download-images",
        by_hand=_BOX_BY_HAND,
        members=members,
    )


IMAGENET32_OORD = _oord(
    32,
    RawFile(
        "train_32x32.tar",
        4_113_018_880,
        "244a323d48f8d72f65ad8b54658c01fed68d2d7bdc77ccb43da58c11e94224e5",
    ),
    RawFile(
        "valid_32x32.tar",
        161_474_560,
        "862e559462b24cf736212a19f6b0d47b55c2dc8ebdaa95ccecfe71260124c8f7",
    ),
    "bf62f5051ef878b9c357e6221e879629a9b4b172",
)
IMAGENET64_OORD = _oord(
    64,
    RawFile(
        "train_64x64.tar",
        12_112_588_800,
        "e2a2c1947a748d0d256e98e6d82800d855441dc9e4de2e71a773f1324c4524d7",
    ),
    RawFile(
        "valid_64x64.tar",
        477_255_680,
        "eeac03ec4f585baf871d2b4cb9c974bfe345e74878a74e5820fe6eb1041629cd",
    ),
    "96816a530ee002254d29bf7a61c0c158d3dedc3b",
)
IMAGENET32_BOX = _box(
    32,
    (
        RawFile(
            "Imagenet32_train_npz.zip",
            3_580_435_279,
            "94226337ecc1b0309d9fcd0167127aaadc931587035fbcb53925235edbaec4fc",
        ),
    ),
    RawFile(
        "Imagenet32_val_npz.zip",
        139_697_668,
        "013990e6dec1237dcd1f9beadbab81ead6604cc119af5cacbfb59ae28148377a",
    ),
    {
        "train_data_batch_1.npz": "464fde20de6eb44c28cc1a8c11544bb1",
        "train_data_batch_2.npz": "bdb56e71882c3fd91619d789d5dd7c79",
        "train_data_batch_3.npz": "83ff36d76ea26867491a281ea6e1d03b",
        "train_data_batch_4.npz": "98ff184fe109d5c2a0f6da63843880c7",
        "train_data_batch_5.npz": "62b8803e13c3e6de9498da7aaaae57c8",
        "train_data_batch_6.npz": "e0b06665f890b029f1d8d0a0db26e119",
        "train_data_batch_7.npz": "9731f469aac1622477813c132c5a847a",
        "train_data_batch_8.npz": "60aed934b9d26b7ee83a1a83bdcfbe0f",
        "train_data_batch_9.npz": "b96328e6affd718660c2561a6fe8c14c",
        "train_data_batch_10.npz": "1dc618d544c554220dd118f72975470c",
        "val_data.npz": "a8c04a389f2649841fb7a01720da9dd9",
    },
)
IMAGENET64_BOX = _box(
    64,
    (
        RawFile(
            "Imagenet64_train_part1_npz.zip",
            6_783_426_789,
            "9422dc1dc5d092e9814a70a1cb7fc74880d2db5d88a0cb8a34ee363b12bde3f1",
        ),
        RawFile(
            "Imagenet64_train_part2_npz.zip",
            6_780_506_068,
            "9fafc115afb7e6c301e66dc16b2d737152b427bd5dab26e1293487a6819c7f30",
        ),
    ),
    RawFile(
        "Imagenet64_val_npz.zip",
        529_522_927,
        "e1e75133158a1924135a9c6f97a80d2d237b158945e0b34074e58e6c8430eeb8",
    ),
    {},
)

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        MNIST_STATIC,
        MNIST_GREY,
        CIFAR10,
        IMAGENET32_OORD,
        IMAGENET64_OORD,
        IMAGENET32_BOX,
        IMAGENET64_BOX,
    )
}
