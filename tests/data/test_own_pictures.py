"""Every kind of picture gives the pixels that its author sees, at any size."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

from pixelrnn.data.own import pictures
from pixelrnn.data.own.fitting import Fitting
from tests.data import own_files

WHITE = (255, 255, 255)
FORMATS = ("PNG", "GIF", "WEBP", "JPEG")


def _noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_pixels_and_header_are_those_of_pillow(mode):
    for format, size in itertools.product(FORMATS, [(1, 1), (1, 9), (9, 1), (12, 17)]):
        _check_against_pillow(mode, format, size)


def _check_against_pillow(mode, format, size):
    image = own_files.picture(3, *size).convert(mode)
    if format == "JPEG" and mode == "P":
        image = image.convert("RGB")
    data = own_files.encoded(image, format)
    with Image.open(own_files.io.BytesIO(data)) as again:
        expected = np.asarray(again.convert("RGB"))
    np.testing.assert_array_equal(pictures.pixels(data, WHITE), expected)
    height, width, colors = pictures.header(data)
    assert (height, width) == size
    if colors == 1:
        assert (expected == expected[..., :1]).all()
    assert (colors == 1) >= (mode in ("1", "L") and format != "WEBP")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_a_camera_noted_is_obeyed(format, orientation):
    image = Image.fromarray(_noise(6, 9, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"lossless": True} if format == "WEBP" else {}
    data = own_files.encoded(image, format, exif=exif, **settings)
    with Image.open(own_files.io.BytesIO(data)) as again:
        expected = np.asarray(ImageOps.exif_transpose(again).convert("RGB"))
    found = pictures.pixels(data, WHITE)
    np.testing.assert_array_equal(found, expected)
    assert pictures.header(data)[:2] == found.shape[:2]
    assert found.shape[:2] == ((9, 6) if orientation >= 5 else (6, 9))


def test_notes_of_a_camera_that_cannot_be_read_harm_no_picture():
    data = own_files.encoded(Image.fromarray(_noise(6, 9, 3)), "JPEG", exif=b"Exif\0\0II*\0broken!")
    with pictures.quiet():
        assert pictures.header(data) == (6, 9, 3)
        assert pictures.pixels(data, WHITE).shape == (6, 9, 3)


def test_of_the_several_pictures_in_one_photograph_of_a_telephone_the_first_counts():
    """Telephones put a smaller picture into the file (MPO); that is no animation."""
    first, second = (Image.fromarray(_noise(16, 16, 3, seed=seed)) for seed in (1, 2))
    data = own_files.encoded(first, "MPO", save_all=True, append_images=[second])
    assert pictures.header(data) == (16, 16, 3)
    with Image.open(own_files.io.BytesIO(data)) as again:
        np.testing.assert_array_equal(pictures.pixels(data, WHITE), np.asarray(again))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
@pytest.mark.parametrize("background", [WHITE, (0, 0, 0), (10, 200, 30)])
def test_transparent_pixels_show_the_background(mode, background):
    pixels = _noise(7, 5, 4)
    pixels[..., 3] = np.array([0, 255, 0, 255, 77])
    image = Image.fromarray(pixels, "RGBA").convert(mode)
    data = own_files.encoded(
        image,
        "PNG" if mode != "PA" else "WEBP",
        **({"lossless": True, "exact": True} if mode == "PA" else {}),
    )
    found = pictures.pixels(data, background).astype(float)
    with Image.open(own_files.io.BytesIO(data)) as again:
        colors = np.asarray(again.convert("RGBA")).astype(float)
    alpha = colors[..., 3:] / 255
    expected = alpha * colors[..., :3] + (1 - alpha) * np.array(background)
    assert np.abs(found - expected).max() <= 1
    assert (found[:, 0] == background).all()


@pytest.mark.parametrize("format", ["GIF", "PNG"])
def test_a_transparent_colour_of_a_palette_shows_the_background(format):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    data = own_files.encoded(image, format, transparency=1)
    found = pictures.pixels(data, (1, 2, 3))
    assert found[0].tolist() == [[255, 0, 0], [1, 2, 3]]


def test_a_grey_palette_is_no_colour():
    image = own_files.picture(1, mode="L").convert("P")
    assert pictures.header(own_files.encoded(image))[2] == 1
    assert pictures.header(own_files.encoded(own_files.picture(1, mode="P")))[2] == 3


def test_grey_of_equal_colours_is_that_shade():
    shades = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(pictures.grey(shades.repeat(3, 2)), shades)


def _fitting(size, fit, short_side=None, filter="box", background=(7, 8, 9)):
    return Fitting(size, fit, short_side, filter, background)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_crop_is_the_centre(channels):
    picture = _noise(9, 12, channels)
    (found,) = _fitting((4, 5), "crop").images(picture)
    np.testing.assert_array_equal(found, picture[2:6, 3:8])


def test_tiles_lie_side_by_side_around_the_centre():
    picture = _noise(9, 12, 3)
    found = _fitting((4, 5), "tiles").images(picture)
    expected = [picture[top : top + 4, left : left + 5] for top in (0, 4) for left in (1, 6)]
    np.testing.assert_array_equal(found, expected)
    assert len(_fitting((9, 12), "tiles").images(picture)) == 1


def test_padding_surrounds_and_never_enlarges():
    picture = _noise(2, 3, 3)
    (found,) = _fitting((6, 5), "pad").images(picture)
    np.testing.assert_array_equal(found[2:4, 1:4], picture)
    found[2:4, 1:4] = (7, 8, 9)
    assert (found == (7, 8, 9)).all()
    (wide,) = _fitting((4, 4), "pad").images(_noise(8, 16, 3))
    assert (wide[[0, 3]] == (7, 8, 9)).all()
    assert not (wide[1:3] == (7, 8, 9)).all(axis=2).any()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 24), (20, 8), (12, 16)])
def test_scaling_by_boxes_takes_their_mean(channels, height, width):
    """The slow and obvious way: means of blocks of the largest centred part of the right aspect."""
    picture = _noise(height, width, channels)
    (found,) = _fitting((4, 4), "resize").images(picture)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    part = picture[top : top + side, left : left + side].astype(float)
    expected = part.reshape(4, side // 4, 4, side // 4, channels).mean((1, 3))
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("fit", ["resize", "crop", "pad", "tiles"])
def test_every_picture_gets_the_size_or_is_said_to_be_too_small(fit):
    sizes = [(1, 1), (1, 7), (6, 1), (5, 7), (13, 3)]
    pictures_of = [(1, 1), (1, 40), (33, 2), (31, 17), (5, 7)]
    sides = (None, 15) if fit in ("crop", "tiles") else (None,)
    filters = ("box", "bilinear", "bicubic", "lanczos")
    for size, picture, side, filter in itertools.product(sizes, pictures_of, sides, filters):
        fitting = _fitting(size, fit, side, filter)
        if fitting.problem(*picture):
            assert fit in ("crop", "tiles")
            assert min(picture[0] - size[0], picture[1] - size[1]) < 0
            continue
        pixels = _noise(*picture, 3)
        found = fitting.images(pixels)
        assert found.shape[1:] == (*size, 3)
        assert len(found) >= 1
        assert found.dtype == np.uint8
        if picture == size and side is None:
            np.testing.assert_array_equal(found[0], pixels)
        flat = fitting.images(np.full_like(pixels, 90))
        assert (flat[0] == 90).all(axis=-1).any()
        assert fit == "pad" or (flat == 90).all()
