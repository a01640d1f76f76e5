"""The PixelSNAIL against its equations, in operations of torch, and planted faults."""

import pytest
import torch
from torch.nn.functional import conv2d, elu, pad

from pixelrnn.layers import attention as layer
from pixelrnn.models import PixelSNAIL
from tests.helpers import all_images, random_images, randomise

SMALL = {
    "hidden": 6,
    "layers": 2,
    "head_width": 7,
    "convolutions": 2,
    "key_width": 3,
    "value_width": 4,
}


def gated(x):
    a, b = x.chunk(2, dim=1)
    return a * b.sigmoid()


def masked(conv, x):
    """A masked convolution, its kernel at the lower right: (B, in, H, W) -> (B, out, H, W)."""
    height, width = conv.kernel_size
    right = width - 1 - width // 2
    x = pad(x, (width // 2, right, height // 2, height - 1 - height // 2))
    return conv2d(x, conv.weight * conv.mask, conv.bias)


def linear(module, x):
    return module(x.movedim(1, -1)).movedim(-1, 1)


def residual(block, x, beside=None):
    y = masked(block.conv, elu(x))
    if beside is not None:
        y = y + masked(block.of_beside, elu(beside))
    return x + gated(masked(block.gate, elu(y)))


def attended(attention, x, pixels):
    """Softmax over the pixels before each, with a mask; the first gets zeros."""
    batch, _, height, width = x.shape
    rows = (torch.arange(height).double() / height - 0.5)[:, None].expand(height, width)
    columns = (torch.arange(width).double() / width - 0.5).expand(height, width)
    place = torch.stack([rows, columns]).expand(batch, -1, -1, -1)
    y = masked(attention.query_in, elu(x)) + linear(attention.query_in.of_place, place)
    q = x + gated(masked(attention.query_gate, elu(y)))
    q = masked(attention.query_out, q) + linear(attention.query_out.of_place, place)
    raw = torch.cat([pixels, place, x], dim=1)
    y = gated(linear(attention.content_gate, elu(linear(attention.content_in, elu(raw)))))
    content = linear(attention.content_out, raw + y)
    heads, n = attention.heads, height * width
    k, v = content.split([q.shape[1], content.shape[1] - q.shape[1]], dim=1)
    q, k, v = (z.reshape(batch, heads, -1, n) for z in (q, k, v))
    scores = torch.einsum("bhki,bhkj->bhij", q, k) / attention.key_width**0.5
    earlier = torch.ones(n, n).tril(-1).bool()
    weights = scores.masked_fill(~earlier, -torch.inf).softmax(-1).nan_to_num(0)
    return torch.einsum("bhij,bhvj->bhvi", weights, v).reshape(batch, -1, height, width)


def equations(model, images):
    """The parameters of every pixel, (B, P, H, W)."""
    pixels = images.double() * (2 / (model.levels - 1)) - 1
    x = masked(model.stem.conv, pixels)
    for block in model.blocks:
        for part in block.convolutions:
            x = residual(part, x)
        x = residual(block.join, x, attended(block.attention, x, pixels))
    for part in model.head.layers:
        x = masked(part, x.relu())
    return x


@pytest.mark.parametrize("settings", [{}, {"heads": 2}, {"color_conditioning": False}], ids=str)
@pytest.mark.parametrize("size", [(4, 5), (1, 4), (4, 1)])
def test_it_is_its_equations(size, settings):
    model = randomise(PixelSNAIL((3, *size), 4, **SMALL, **settings).double(), 0.4)
    images = random_images(2, (3, *size), 4)
    torch.testing.assert_close(model(images).permute(2, 3, 0, 1), equations(model, images))


def total(model):
    images = all_images(model.image_shape, model.levels)
    return model.log_prob(images).exp().sum().item()


def test_attention_to_the_pixel_itself_is_found(monkeypatch):
    """Planted fault: the mask includes the diagonal, and keys and values know their pixel."""
    model = randomise(PixelSNAIL((1, 3, 3), 2, **SMALL).double())
    assert total(model) == pytest.approx(1, abs=1e-12)
    monkeypatch.setattr(
        layer,
        "over_earlier",
        lambda *given: torch.nn.functional.scaled_dot_product_attention(*given, is_causal=True),
    )
    assert abs(total(model) - 1) > 1e-6


@pytest.mark.usefixtures("no_dead_relu")
def test_a_pixel_far_away_is_seen_in_all_its_colours():
    """The key of a pixel holds the pixel itself, of which its features know nothing."""
    model = randomise(PixelSNAIL((3, 6, 6), 4, **{**SMALL, "layers": 1}).double())
    images = random_images(1, (3, 6, 6), 4)
    before = model.conditionals(images)
    for color in range(3):
        changed = images.clone()
        changed[0, color, 0, 5] = (changed[0, color, 0, 5] + 1) % 4
        assert not torch.equal(model.conditionals(changed)[0, 0, :, 5, 0], before[0, 0, :, 5, 0])


def test_gradients_of_a_single_pixel_are_numbers():
    model = randomise(PixelSNAIL((3, 1, 1), 4, **SMALL))
    model.log_prob(random_images(2, (3, 1, 1), 4)).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
