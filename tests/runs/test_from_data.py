"""What the data set fills in, and what it refuses."""

import pytest

from pixelrnn.data import Digits, Mesh
from pixelrnn.errors import ConfigError
from pixelrnn.runs import check, from_data
from pixelrnn.training import parts


def _filled(data, **model):
    likelihood = {"_target_": "x", "levels": None}
    node = {"_target_": "pixelrnn.models.PixelCNN", "image_shape": None, "levels": "data"}
    return parts.filled({"model": node | model, "likelihood": likelihood}, data)


def test_null_is_filled_but_for_classes():
    found = _filled(Digits(), classes=None, other=None)
    assert found["model"]["image_shape"] == [1, 8, 8]
    assert found["model"]["levels"] == found["likelihood"]["levels"] == 17
    assert found["model"]["classes"] is None
    assert found["model"]["other"] is None


def test_the_number_of_classes_of_the_data_is_filled_in_at_any_depth():
    found = _filled(Digits(), classes="data", small={"classes": "data"}, large={"classes": 10})
    assert found["model"]["classes"] == found["model"]["small"]["classes"] == 10


@pytest.mark.parametrize(
    ("data", "model", "says"),
    [
        (Mesh, {"classes": "data"}, "model.classes=data but mesh_mean_"),
        (Mesh, {"classes": 10}, "has no labels: leave model.classes=null"),
        (Digits, {"classes": 9}, "model.classes=9 but the data have 10 classes: set model.cl"),
        (Digits, {"small": {"classes": 2}}, "model.small.classes=2 but the data have 10 classes"),
    ],
)
def test_other_classes_than_those_of_the_data_are_refused(data, model, says):
    with pytest.raises(ConfigError) as refused:
        _filled(data(), **model)
    assert says in str(refused.value)


def test_what_is_filled_later_is_not_checked_before():
    node = {"_target_": "pixelrnn.models.PixelCNN", "image_shape": None, "levels": "data"}
    assert check.converted(node, "model", from_data.is_open) == node
    with pytest.raises(ConfigError, match=r"model\.levels=data: "):
        check.converted(node, "model")
    with pytest.raises(ConfigError, match=r"model\.hidden=data: "):
        check.converted(node | {"hidden": "data"}, "model", from_data.is_open)
