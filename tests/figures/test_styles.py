"""What all figures have in common: contrast, titles that fit, and no state of matplotlib."""

import io
import subprocess
import sys

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from pixelrnn.figures import styles


@pytest.mark.parametrize("style", styles.STYLES.values(), ids=styles.STYLES)
def test_what_is_written_stands_out_from_the_background(style):
    """Contrast as WCAG counts it: 7 for texts, 2 for lines, which are wide."""

    def light(color):
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in matplotlib.colors.to_rgb(color)
        ]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=1))

    def contrast(color):
        low, high = sorted((light(color), light(style.background)))
        return (high + 0.05) / (low + 0.05)

    assert contrast(style.ink) > 7
    assert all(contrast(color) > 2 for color in style.colors), list(map(contrast, style.colors))
    assert len(set(style.colors)) == 7


@pytest.mark.parametrize("width", [2.0, 9.0])
@pytest.mark.parametrize(
    "text",
    ["digits-row_lstm-0a1b2c3d: WHAT the pixel in row 4 sees\nand more", "MY_RUN-" * 12, "m"],
)
def test_a_title_fits_the_figure(width, text):
    figure, _ = styles.panels(styles.STYLES["light"], 1, 1, (width, 3))
    styles.title(figure, styles.STYLES["light"], text)
    renderer = FigureCanvasAgg(figure).get_renderer()
    box = figure._suptitle.get_window_extent(renderer)
    assert box.width <= width * figure.dpi
    assert figure.get_suptitle().replace("\n", "").replace(" ", "") == "".join(text.split())


@pytest.mark.parametrize("style", styles.STYLES)
def test_every_text_has_the_ink_of_the_style(style):
    """Also ticks, which matplotlib makes when it draws: no text is black on the dark."""
    look = styles.STYLES[style]
    figure, axes = styles.panels(look, 1, 2, (4, 3))
    heat = axes[0, 0].imshow(np.eye(3))
    axes[0, 1].plot([1, 2], [10, 1000], label="a line")
    axes[0, 1].set(xlabel="x", ylabel="y", yscale="log")
    styles.heading(axes[0, 1], look, "head")
    styles.legend(axes[0, 1], look)
    styles.scale_bar(figure, heat, axes[0], look, "amount")
    styles.title(figure, look, "title")
    figure.savefig(io.BytesIO())
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert {"head", "x", "y", "a line", "amount", "title"} <= {t.get_text() for t in texts}
    ink = matplotlib.colors.to_rgba(look.ink)
    assert {matplotlib.colors.to_rgba(t.get_color()) for t in texts} == {ink}
    assert matplotlib.colors.to_hex(figure.get_facecolor()) == look.background


def test_hidden_pixels_are_veiled():
    figure, axes = styles.panels(styles.STYLES["dark"], 1, 1, (2, 2))
    image = np.full((3, 2, 2), 4)
    hidden = np.array([[False, True], [True, False]])
    styles.show_image(axes[0, 0], styles.STYLES["dark"], image, 5, "text", hidden)
    picture, veil = axes[0, 0].get_images()
    assert (np.asarray(picture.get_array()) == 1).all()
    assert np.array_equal(np.asarray(veil.get_array())[..., 3] == 1, hidden)
    assert figure.axes[0].get_xlabel() == "text"


def test_the_state_of_matplotlib_stays():
    code = (
        "import matplotlib, io; matplotlib.use('svg'); before = dict(matplotlib.rcParams);"
        "from pixelrnn.figures import curves, styles;"
        "figure, axes = styles.panels(styles.STYLES['dark'], 1, 1, (2, 2));"
        "figure.savefig(io.BytesIO(), format='png');"
        "assert dict(matplotlib.rcParams) == before;"
        "import sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
