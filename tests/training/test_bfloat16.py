"""Training in bfloat16 from end to end: products in bfloat16, likelihoods in float32."""

import math

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.training.module import PixelModule

SHAPE, LEVELS = (3, 5, 4), 8
MODELS = {"pixelcnn": PixelCNN, "row_lstm": RowLSTM, "diagonal_bilstm": DiagonalBiLSTM}


def images(n=48):
    """Smooth images, so that there is something to learn: neighbours differ by at most 1."""
    steps = torch.randint(-1, 2, (n, *SHAPE), generator=torch.Generator().manual_seed(0))
    return (steps.cumsum(-1) + LEVELS // 2).clamp(0, LEVELS - 1).to(torch.uint8)


class Losses(pl.Callback):
    """Keep the loss of every step."""

    def __init__(self):
        self.values, self.dtypes = [], set()

    def on_train_batch_end(self, trainer, module, outputs, *_):
        self.values.append(outputs["loss"].item())
        self.dtypes.add(outputs["loss"].dtype)


def trained(name, precision, tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden": 6, "layers": 2, "head_width": 16, "first_kernel_size": 3}
    model = MODELS[name](SHAPE, LEVELS, **sizes)
    module = PixelModule(model, lambda parameters: torch.optim.Adam(parameters, lr=0.02))
    losses = Losses()
    trainer = pl.Trainer(
        max_epochs=8,
        precision=precision,
        accelerator="cpu",
        callbacks=[losses],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = DataLoader(images(), batch_size=16)
    trainer.fit(module, loader)
    (tested,) = trainer.test(module, DataLoader(images(16), batch_size=16), verbose=False)
    return model, losses, tested["test/bits_per_dim"]


@pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")
@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_trains_as_float32_does(name, tmp_path):
    model, losses, tested = trained(name, "bf16-mixed", tmp_path)
    _, expected, expected_tested = trained(name, "32-true", tmp_path)
    assert losses.dtypes == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    ours, theirs = losses.values, expected.values
    assert all(map(math.isfinite, ours))
    assert ours[0] == pytest.approx(theirs[0], rel=0.01)  # the same weights: rounding alone
    assert theirs[-1] < 0.9 * theirs[0]  # something was learnt
    assert ours[-1] == pytest.approx(theirs[-1], rel=0.1)
    assert tested == pytest.approx(expected_tested, rel=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_likelihoods_are_in_float32(name):
    """Of bits summed over a whole image, bfloat16 would keep three digits."""
    model = MODELS[name](SHAPE, LEVELS, hidden=6, layers=1, head_width=16, first_kernel_size=3)
    batch = images(4)
    with torch.autocast("cpu", torch.bfloat16):
        log_prob, conditionals = model.log_prob(batch), model.conditionals(batch)
    exact = model.log_prob(batch)
    assert log_prob.dtype == conditionals.dtype == torch.float32
    assert torch.allclose(log_prob, exact, rtol=0.01)
    assert torch.allclose(conditionals.logsumexp(2), torch.zeros(1), atol=1e-5)
