"""What a gated residual block begins as."""

import pytest
import torch

from pixelrnn.layers.apply import Whole
from pixelrnn.layers.gated_residual import GatedResidual


@pytest.mark.parametrize("beside", [None, 24])
def test_a_new_block_hardly_changes_what_it_is_given(beside):
    """Deep stacks can therefore be trained; without residual there is what the block adds alone."""
    x, other = torch.randn(2, 5, 5, 3, 24)
    given = () if beside is None else (other,)
    torch.manual_seed(1)
    block = GatedResidual(24, 2, 3, residual=True, beside=beside)
    added = block.compose(x, Whole(), *given) - x
    assert 0.001 < added.std().item() < 0.1
    block.residual = False
    torch.testing.assert_close(block.compose(x, Whole(), *given), added, atol=1e-6, rtol=1e-5)
