"""The Gated PixelCNN against its figure 2, in convolutions of torch, and its known faults."""

import pytest
import torch
from torch.nn.functional import conv2d, pad

from pixelrnn.layers.vertical_stack import VerticalStack
from pixelrnn.models import GatedPixelCNN
from tests.helpers import all_images, random_images, randomise

SMALL = {"hidden": 5, "layers": 2, "head_width": 7, "first_kernel_size": 5, "kernel_size": 3}


def gated(x):
    a, b = x.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()


def masked(conv, x):
    """A masked 1 x n convolution: (B, in, H, W) -> (B, out, H, W)."""
    return conv2d(x, conv.weight * conv.mask, conv.bias, padding=(0, conv.kernel_size[1] // 2))


def figure_2(model, images):
    """The parameters of every pixel, (B, P, H, W), for a model without skips."""

    def linear(x):
        a, b = x.chunk(2, dim=1)
        return a * b.sigmoid()

    first = {"squashed": gated, "linear": linear, "none": lambda x: x}[model.first_gate]

    h = images.double() * (2 / (model.levels - 1)) - 1
    v = pad(h, (0, 0, 1, 0))[:, :, :-1]  # rows above alone
    for block, vertical in zip([model.stem, *model.blocks], model.vertical.layers, strict=True):
        half = vertical.conv.kernel_size // 2
        a = conv2d(pad(v, (half, half, half, 0)), vertical.conv.weight, vertical.conv.bias)
        link = vertical.link(a.movedim(1, -1)).movedim(-1, 1)  # before the gate
        gate = first if block is model.stem else gated
        y = masked(block.out, gate(masked(block.conv, h) + link))
        h = y if block is model.stem else h + y  # residual: horizontal, not in the first layer
        v = a if model.first_gate == "none" and block is model.stem else gated(a)  # not residual
    for layer in model.head.layers:
        h = masked(layer, h.relu())
    return h


@pytest.mark.parametrize(
    "settings",
    [{}, {"color_conditioning": False}, {"first_gate": "linear"}, {"first_gate": "none"}],
    ids=str,
)
@pytest.mark.parametrize("size", [(5, 6), (1, 4), (4, 1)])
def test_it_is_figure_2(size, settings):
    model = GatedPixelCNN((3, *size), 4, **SMALL, **settings)
    model = randomise(model.double())
    images = random_images(2, (3, *size), 4)
    torch.testing.assert_close(model(images).permute(2, 3, 0, 1), figure_2(model, images))


def total(model):
    images = all_images(model.image_shape, model.levels)
    return model.log_prob(images).exp().sum().item()


def test_a_vertical_stack_that_reads_the_row_at_hand_is_found(monkeypatch):
    """Planted fault: the image is not moved down, which shows pixels on the right."""
    model = randomise(GatedPixelCNN((1, 3, 3), 2, **SMALL).double())
    assert total(model) == pytest.approx(1, abs=1e-12)
    honest = VerticalStack.forward
    monkeypatch.setattr(
        VerticalStack,
        "forward",
        lambda self, x, context: honest(self, torch.cat([x[1:], 0 * x[:1]]), context),
    )
    assert abs(total(model) - 1) > 1e-6


def test_a_residual_first_layer_is_found():
    """Planted fault: the pixel itself is added to the output of the first layer."""
    model = randomise(GatedPixelCNN((1, 3, 3), 2, **SMALL).double())
    model.stem.residual = True
    assert abs(total(model) - 1) > 1e-6


def second_moments(model, images):
    """Of what the convolutions and the links of the vertical stack put out, layer by layer."""
    found = []
    for layer in model.vertical.layers:
        for part in (layer.conv, layer.link):
            part.register_forward_hook(lambda _, inputs, y: found.append(y.square().mean().item()))
    model.log_prob(images)
    return found


@pytest.mark.parametrize(
    ("hidden", "layers", "first_gate"), [(16, 20, "squashed"), (48, 4, "squashed"), (48, 4, "none")]
)
def test_the_image_reaches_all_of_the_vertical_stack(hidden, layers, first_gate):
    """From the first step on, in values and in gradients, although no layer of it is residual.

    With the weights that other layers begin with, the second moment of each layer would be a
    twelfth of that of the layer below.
    """
    torch.manual_seed(0)
    model = GatedPixelCNN(
        (3, 12, 12), 256, hidden, layers, head_width=16, kernel_size=3, first_gate=first_gate
    )
    images = random_images(4, (3, 12, 12), 256)
    moments = second_moments(model, images)
    assert min(moments) > 0.02 * moments[0]
    model.log_prob(images).sum().backward()
    gradients = [layer.conv.weight.grad.square().mean().sqrt() for layer in model.vertical.layers]
    assert min(gradients) > 1e-3 * gradients[0]
