"""Arrays of one's own: which axis is which, names in an .npz, labels, and what is refused."""

import io
import zipfile

import numpy as np
import pytest

from pixelrnn.data import Images
from pixelrnn.errors import DataError
from tests.data import own_files


def _shades(seed, *shape):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def _made(path, **settings):
    return own_files.loaded(
        Images, path, **{"root": path.parent / "data", "val": 0, "test": 0} | settings
    )


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((6, 20, 30), "NHW"),
        ((6, 3, 5), "NHW"),
        ((6, 20, 30, 3), "NHWC"),
        ((6, 20, 30, 1), "NHWC"),
        ((6, 20, 30, 16), "NHWC"),
        ((6, 3, 20, 30), "NCHW"),
        ((6, 1, 20, 30), "NCHW"),
        ((6, 7, 20, 30), "NCHW"),
        ((6, 8, 8, 3), "NHWC"),
        ((6, 3, 8, 8), "NCHW"),
        ((6, 1, 1, 30), "NCHW"),
    ],
)
def test_axes_are_seen_by_their_lengths(shape, layout, tmp_path):
    array = _shades(0, *shape)
    np.save(tmp_path / "x.npy", array)
    module = _made(tmp_path / "x.npy")
    source = module.image_set.conversion.sources[""]
    assert source.arrays[""].layout == layout
    expected = array[:, None] if layout == "NHW" else array
    expected = array.transpose(0, 3, 1, 2) if layout == "NHWC" else expected
    np.testing.assert_array_equal(module.images("train"), expected)


@pytest.mark.parametrize("shape", [(6, 3, 8, 3), (6, 16, 16, 16), (6, 1, 5, 1), (6, 30, 3)])
def test_axes_that_can_be_read_in_two_ways_must_be_said(shape, tmp_path):
    array = _shades(0, *shape)
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=r"x\.npy: \(.*\) can be read in two ways; .*data\.layout="):
        _made(tmp_path / "x.npy")
    if len(shape) == 3:
        assert _made(tmp_path / "x.npy", layout="NHW").image_shape == (1, 30, 3)
        with pytest.raises(DataError, match=r"\(6, 30, 3\) has not the axes data\.layout=NHWC"):
            _made(tmp_path / "x.npy", layout="NHWC")
        return
    channels_first = _made(tmp_path / "x.npy", layout="NCHW")
    np.testing.assert_array_equal(channels_first.images("train"), array)
    channels_last = _made(tmp_path / "x.npy", layout="NHWC")
    np.testing.assert_array_equal(channels_last.images("train"), array.transpose(0, 3, 1, 2))
    assert channels_first.dataset_id != channels_last.dataset_id


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((6, 8, 8), np.float32), r"expected shades of uint8, found float32 .*data=codes"),
        (np.zeros((6, 8, 8), np.int64), r"expected shades of uint8, found int64"),
        (np.zeros((6, 8), np.uint8), r"expected images \(N, H, W\)"),
        (np.zeros((6, 20, 30, 40), np.uint8), "with 1 to 16 channels, found"),
        (np.zeros((0, 8, 8), np.uint8), r"found \(0, 8, 8\) as NHW"),
        (np.array([[[None]]]), "expected a file of NumPy arrays|expected shades"),
        (np.zeros((6, 8, 8), [("a", "u1")]), "expected shades of uint8"),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_arrays_that_are_no_images_are_refused(array, says, ending, tmp_path):
    path = tmp_path / f"x{ending}"
    np.save(path, array) if ending == ".npy" else np.savez(path, images=array)
    with pytest.raises(DataError, match=says) as caught:
        _made(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "data").exists()


class _Runs:
    def __reduce__(self):
        return open, ("called", "w")


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[[_Runs()]]]), allow_pickle=True)
    np.savez(tmp_path / "x.npz", images=_shades(0, 6, 8, 8), labels=np.array([_Runs()] * 6))
    for settings in (
        {"path": tmp_path / "x.npy"},
        {"path": tmp_path / "x.npz", "classes": "labels"},
    ):
        with pytest.raises(DataError):
            _made(**settings)
    assert not list(tmp_path.rglob("called"))


def test_arrays_that_claim_more_than_they_hold_are_refused(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 64, 64)}
    )
    (tmp_path / "x.npy").write_bytes(file.getvalue() + bytes(100))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", file.getvalue() + bytes(100))
    (tmp_path / "y.npz").write_bytes(b"PK nothing of the kind")
    (tmp_path / "y.npy").write_bytes(b"")
    for name in ("x.npy", "x.npz", "y.npz", "y.npy"):
        with pytest.raises(
            DataError, match=rf"{name[0]}\.{name[2:]}: expected a file of NumPy arr"
        ):
            _made(tmp_path / name)


def test_an_npz_may_hold_splits_and_labels(tmp_path):
    arrays = {
        "x_train": _shades(0, 8, 5, 6),
        "y_train": np.array([4, 0, 9, 9, 4, 0, 0, 0], np.uint8)[:, None],
        "x_test": _shades(1, 3, 5, 6),
        "y_test": np.array([9, 4, 0]),
    }
    np.savez(tmp_path / "x.npz", **arrays)
    module = _made(tmp_path / "x.npz", classes="labels")
    assert module.splits == ("train", "test")
    assert module.class_names == ("0", "4", "9")
    assert module.labels("train").tolist() == [1, 0, 2, 2, 1, 0, 0, 0]
    assert module.labels("test").tolist() == [2, 1, 0]
    np.testing.assert_array_equal(module.images("test")[:, 0], arrays["x_test"])
    assert _made(tmp_path / "x.npz").labels("train") is None


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "no labels beside the images"),
        (np.zeros(5, int), "expected a whole number from 0 for each of the 6 images"),
        (np.full(6, -1), "expected a whole number from 0"),
        (np.zeros(6), "expected a whole number from 0 .*found float64"),
        (np.zeros(0, int), r"whole number from 0 for each of the 6 images, found int64 \(0,\)"),
        (np.zeros((0, 1), int), r"found int64 \(0, 1\)"),
        (np.zeros((6, 0), int), r"found int64 \(6, 0\)"),
        (np.zeros((2, 3), int), r"found int64 \(2, 3\)"),
        (np.int64(0), r"found int64 \(\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, says, tmp_path):
    beside = {} if labels is None else {"labels": labels}
    np.savez(tmp_path / "x.npz", images=_shades(0, 6, 5, 6), **beside)
    with pytest.raises(DataError, match=says):
        _made(tmp_path / "x.npz", classes="labels")


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
def test_one_label_of_one_image_may_have_any_axes(shape, tmp_path):
    np.savez(tmp_path / "x.npz", images=_shades(0, 1, 5, 6), labels=np.full(shape, 7))
    module = _made(tmp_path / "x.npz", classes="labels")
    assert (module.class_names, module.labels("train").tolist()) == (("7",), [0])


def test_an_npz_in_which_the_images_cannot_be_told_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=_shades(0, 6, 5, 6), b=_shades(0, 6, 5, 6))
    with pytest.raises(DataError, match=r"x\.npz: holds a, b; call the array of images"):
        _made(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", whatever=_shades(0, 6, 5, 6), count=np.array(6))
    assert len(_made(tmp_path / "y.npz").images("train")) == 6
    np.save(tmp_path / "v.npy", _shades(1, 2, 5, 6))
    np.savez(tmp_path / "x.npz", train=_shades(0, 6, 5, 6), test=_shades(0, 6, 5, 6))
    with pytest.raises(DataError, match=r"x\.npz: holds no array that is called val"):
        _made(tmp_path / "v.npy", val=tmp_path / "x.npz")


def test_true_is_white_and_channels_become_colours(tmp_path):
    masks = _shades(0, 9, 5, 6) > 99
    np.save(tmp_path / "x.npy", masks)
    np.testing.assert_array_equal(_made(tmp_path / "x.npy").images("train")[:, 0], 255 * masks)
    binary = _made(tmp_path / "x.npy", levels=2)
    np.testing.assert_array_equal(binary.images("train")[:, 0], masks)
    assert _made(tmp_path / "x.npy", colors=3).image_shape == (3, 5, 6)
    np.save(tmp_path / "y.npy", _shades(0, 9, 20, 21, 5))
    with pytest.raises(DataError, match=r"y\.npy: 1 of 1 files .* 1 with 5 channels, not 3 \(y"):
        _made(tmp_path / "y.npy", colors=3)
    five = _made(tmp_path / "y.npy", size=(3, 2))
    assert five.image_shape == (5, 3, 2)


def test_symbols_that_are_no_shades_are_sent_elsewhere(tmp_path):
    """The high bits of 0, 1, 2, 3 are all 0: a model would learn nothing."""
    np.save(tmp_path / "x.npy", _shades(0, 9, 5, 6) // 64)
    for settings in ({"levels": 4}, {"levels": 2}, {"binarize": "threshold"}):
        with pytest.raises(DataError, match=r"x\.npy: all values are below .*data=codes"):
            _made(tmp_path / "x.npy", **settings)
    assert _made(tmp_path / "x.npy").levels == 256
