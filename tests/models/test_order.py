"""A distribution in another order, shown with a double that begins at the last sub-pixel."""

import pytest
import torch

from pixelrnn.generation.sources import Position
from pixelrnn.models import ImageDistribution
from tests.helpers import CATALOGUE, all_images, random_images


class Backwards(ImageDistribution):
    """A model in raster order, of images that are turned around in rows, columns and colours."""

    def __init__(self, inner):
        super().__init__(inner.image_shape, inner.levels)
        self.inner = inner

    @property
    def order(self):
        return super().order.flip(0)

    def _log_prob(self, images, labels=None):
        return self.inner._log_prob(images.flip(1, 2, 3))

    def _conditionals(self, images, labels=None):
        return self.inner._conditionals(images.flip(1, 2, 3)).flip(1, 3, 4)

    def _generate(self, n, source, labels=None, *, on_row=None, steps_only=False):
        colors, height, width = self.image_shape

        def turned(log_probs, at):
            return source(
                log_probs,
                Position(height - 1 - at.row, width - 1 - at.column, colors - 1 - at.color),
            )

        return self.inner._generate(n, turned, steps_only=steps_only).flip(1, 2, 3)


@pytest.fixture
def backwards():
    return Backwards(CATALOGUE[0]((2, 2, 3), 3))


def test_conditionals_follow_the_order(backwards):
    """A conditional depends on sub-pixels before it in `order`, and on no other."""
    images = random_images(1, (2, 2, 3), 3)
    before = backwards.conditionals(images).permute(0, 3, 4, 1, 2).flatten(1, 3)[0]
    for place, index in enumerate(backwards.order.tolist()):
        flat = images.permute(0, 2, 3, 1).flatten(1).clone()
        flat[0, index] = (flat[0, index] + 1) % 3
        changed = flat.view(1, 2, 3, 2).permute(0, 3, 1, 2).contiguous()
        after = backwards.conditionals(changed).permute(0, 3, 4, 1, 2).flatten(1, 3)[0]
        unchanged = backwards.order[: place + 1]
        assert torch.equal(before[unchanged], after[unchanged])
        if place == 0:
            assert not torch.equal(before, after)


def test_all_images_in_another_order_sum_to_one():
    model = Backwards(CATALOGUE[0]((1, 2, 2), 3))
    total = model.log_prob(all_images((1, 2, 2), 3)).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_generation_in_another_order(backwards):
    generator = torch.Generator().manual_seed(1)
    expected = backwards.inner.sample(4, generator=generator).flip(1, 2, 3)
    found = backwards.sample(4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(found, expected)
    known = torch.tensor([[True, False, True], [False, True, False]])
    images = random_images(4, (2, 2, 3), 3)
    completed = backwards.complete(images, known)
    assert torch.equal(completed[:, :, known], images[:, :, known])
