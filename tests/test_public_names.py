"""The package's face: what `dir` lists is there, and importing it costs nothing."""

import inspect
import pydoc
import subprocess
import sys

import pytest

import pixelrnn


def test_public_names_are_listed_before_they_are_used():
    script = (
        "import sys, pixelrnn\n"
        "assert set(pixelrnn.__all__) <= set(dir(pixelrnn)), dir(pixelrnn)\n"
        "assert {'torch', 'numpy', 'hydra'}.isdisjoint(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert {"PixelCNN", "RowLSTM", "load_model", "train", "bits_per_dim"} <= set(dir(pixelrnn))
    for name in pixelrnn.__all__:
        assert getattr(pixelrnn, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'PixelLSTM'"):
        _ = pixelrnn.PixelLSTM


@pytest.mark.parametrize("name", ["PixelCNN", "RowLSTM", "DiagonalBiLSTM"])
def test_help_of_a_model_opens_with_plain_types_and_explains_each_argument(name):
    model = getattr(pixelrnn, name)
    text = pydoc.plain(pydoc.render_doc(model))
    signature = text.partition(f"|  {name}(")[2].partition("\n")[0]
    assert "image_shape" in signature
    assert "FieldInfo" not in signature
    assert "Annotated" not in signature
    for argument in inspect.signature(model).parameters:
        assert f"{argument}: " in model.__doc__
