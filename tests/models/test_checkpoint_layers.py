import pytest
import torch

from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM


@pytest.mark.parametrize("cls", [RowLSTM, DiagonalBiLSTM, PixelCNN, GatedPixelCNN, PixelSNAIL])
@pytest.mark.parametrize("skip", [True, False])
def test_recomputing_blocks_changes_nothing(cls, skip):
    settings = {"image_shape": (3, 4, 5), "levels": 4, "hidden": 4, "layers": 3, "skip": skip}
    kept = cls(**settings, head_width=8)
    computed_again = cls(**settings, head_width=8, checkpoint_layers=True)
    computed_again.load_state_dict(kept.state_dict())
    images = torch.randint(4, (2, 3, 4, 5), dtype=torch.uint8)
    values = []
    for model in (kept, computed_again):
        model.log_prob(images).sum().backward()
        values.append([model.log_prob(images), *(p.grad for p in model.parameters())])
    assert all(map(torch.equal, *values))
