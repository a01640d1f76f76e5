"""The hash of weights, and where two descriptions of models differ."""

import torch

from pixelrnn.likelihood import Categorical
from pixelrnn.models import PixelCNN, RowLSTM, fingerprint
from pixelrnn.ops.conv_lstm.dispatch import Kernel

SMALL = {"hidden": 4, "layers": 1, "head_width": 4}


def test_the_hash_is_of_names_shapes_and_values():
    model = PixelCNN((1, 4, 4), 3, **SMALL)
    other = PixelCNN((1, 4, 4), 3, **SMALL)
    assert fingerprint.weights_hash(model) != fingerprint.weights_hash(other)
    other.load_state_dict(model.state_dict())
    assert fingerprint.weights_hash(model) == fingerprint.weights_hash(other)
    weight = next(iter(other.parameters()))
    weight.data.view(-1)[0] = torch.nextafter(weight.data.view(-1)[0], torch.tensor(9.0))
    assert fingerprint.weights_hash(model) != fingerprint.weights_hash(other)
    assert fingerprint.weights_hash(model) != fingerprint.weights_hash(model.double())


class WithKernelSize(RowLSTM):
    """A user's own model, whose `kernel` is a size."""

    def __init__(self, image_shape, levels, kernel=3, **given):
        super().__init__(image_shape, levels, **given)


def test_a_kernel_of_a_users_own_model_makes_a_difference():
    one, other = (WithKernelSize((1, 4, 4), 3, kernel=size, **SMALL) for size in (3, 5))
    assert fingerprint.differences(one, other) == {"kernel": (3, 5)}


def test_a_default_is_as_good_as_an_argument_and_a_kernel_makes_no_difference():
    one = RowLSTM((1, 4, 4), 3, **SMALL)
    given = {"residual": True, "likelihood": Categorical(3), "kernel": Kernel("reference")}
    other = RowLSTM(image_shape=[1, 4, 4], levels=3, **SMALL, **given)
    assert fingerprint.differences(one, other) == {}
    wider = RowLSTM((1, 4, 4), 3, **{**SMALL, "hidden": 6})
    assert fingerprint.differences(one, wider) == {"hidden": (4, 6)}
    assert "_target_" in fingerprint.differences(one, PixelCNN((1, 4, 4), 3, **SMALL))
