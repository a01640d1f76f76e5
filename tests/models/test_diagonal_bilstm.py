"""The Diagonal BiLSTM with `full_context` begins as the network without it."""

import pytest
import torch
from torch.nn import functional as F

from pixelrnn.layers.apply import Whole
from pixelrnn.models import DiagonalBiLSTM
from tests.helpers import random_images


def seeded(**settings):
    torch.manual_seed(0)
    model = DiagonalBiLSTM((3, 5, 4), 8, hidden=5, layers=2, head_width=7, **settings)
    return model, torch.rand(())


def test_full_context_begins_as_the_plain_network():
    """The same weights and likelihoods from the same seed; and it can learn from there."""
    (plain, drawn), (full, drawn_after) = seeded(), seeded(full_context=True)
    weights = dict(full.named_parameters())
    added = weights.pop("stem.row_end.weight")
    assert weights.keys() == dict(plain.named_parameters()).keys()
    assert all(torch.equal(weights[name], weight) for name, weight in plain.named_parameters())
    assert torch.equal(drawn, drawn_after)
    images = random_images(2, (3, 5, 4), 8)
    log_prob = full.log_prob(images)
    assert torch.equal(log_prob, plain.log_prob(images))
    log_prob.sum().backward()
    assert added.grad.abs().min() > 0


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_blank_column_is_the_first_block_on_a_wider_image(layers, skip, dtype):
    """With the weights of the plain network; block by block, in values and gradients."""
    torch.manual_seed(0)
    settings = {"hidden": 4, "layers": layers, "head_width": 7, "skip": skip}
    model = DiagonalBiLSTM((3, 5, 4), 8, full_context="blank_column", **settings).to(dtype)
    plain = DiagonalBiLSTM((3, 5, 4), 8, **settings).to(dtype)
    plain.load_state_dict(model.state_dict())
    images = random_images(2, (3, 5, 4), 8)

    def one_by_one(run):
        wide = F.pad(model.inputs(images.permute(2, 3, 0, 1)), (0, 0, 0, 0, 0, 1))
        x = total = plain.blocks[0].compose(plain.stem(wide), run)[:, :-1]
        if skip:
            total = total + plain.skips[0](total)
        for index, block in enumerate(plain.blocks[1:], start=1):
            before, x = x, block.compose(x, run)
            total = total - before + x + (plain.skips[index](x) if skip else 0)
        return plain.head.compose(total, run)

    found, expected = model(images), one_by_one(Whole())
    torch.testing.assert_close(found, expected)
    assert not torch.equal(plain(images), expected)
    for output in (found, expected):
        output.square().sum().backward()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def test_a_blank_column_behind_a_first_kernel_of_1_is_refused():
    with pytest.raises(ValueError, match="first_kernel_size of at least 3"):
        DiagonalBiLSTM((1, 4, 4), 2, hidden=2, full_context="blank_column", first_kernel_size=1)
