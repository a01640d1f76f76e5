"""Trained models against exact entropies: never below, and closer with training.

The blind-spot mesh separates the architectures as theory says (section 3.5 of the paper: the
PixelCNN's context is bounded; section 3.1: the Row LSTM's is a triangle).
"""

import math
import warnings
from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer

from pixelrnn.data import BlindSpotMesh, CodeMesh, Ising, Mesh
from pixelrnn.data.mesh import entropy
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from pixelrnn.training.exact_entropy import EntropyGap
from pixelrnn.training.module import PixelModule

pytestmark = pytest.mark.slow

MODELS = {
    "pixelcnn": PixelCNN,
    "gated_pixelcnn": GatedPixelCNN,
    "pixelsnail": partial(PixelSNAIL, convolutions=1),
    "row_lstm": RowLSTM,
    "diagonal_bilstm": DiagonalBiLSTM,
}


def _trained(name, data, steps, **settings):
    """Metrics of the test split after a short training."""
    model = MODELS[name](data.image_shape, data.levels, hidden=16, layers=2, **settings)
    module = PixelModule(
        model,
        optimizer=partial(torch.optim.AdamW, lr=5e-3, weight_decay=0.0),
        scheduler=lambda optimizer, total: torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1, (step + 1) / 50) * (1 - step / (total + 1))
        ),
    )
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        limit_val_batches=0,
        gradient_clip_val=1.0,
        callbacks=[EntropyGap()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(module, data)
        (metrics,) = trainer.test(module, data, verbose=False)
    return metrics


def test_codes_are_learnt_by_their_vectors():
    """64 codes without order: embedded, within a tenth of the entropy; as shades, far from it."""
    small = {"first_kernel_size": 3, "head_width": 32}
    regrets = {}
    for name, embed in (("gated_pixelcnn", 16), ("row_lstm", 16), ("gated_pixelcnn", None)):
        data = CodeMesh(height=5, width=5, levels=64, amount=0.7, batch_size=64, seed=1)
        metrics = _trained(name, data, 600, embed=embed, **small)
        assert metrics["test/gap"] > -3 * metrics["test/gap_stderr"]
        assert metrics["test/regret"] > -3 * metrics["test/regret_stderr"]
        regrets[name, embed] = metrics["test/regret"] / data.image_set.entropy
        print(f"{name}, embed {embed}: regret {100 * regrets[name, embed]:.1f} % of the entropy")
    assert max(regrets["gated_pixelcnn", 16], regrets["row_lstm", 16]) < 0.1
    assert regrets["gated_pixelcnn", None] > 0.2


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("data", "steps", "share"),
    [
        (Ising(6, 6, 0.4406868, batch_size=64, seed=1), 300, 0.03),
        (Mesh("mean", 6, 6, 1, 4, "flip", 0.15, batch_size=64, seed=1), 400, 0.03),
        (Mesh("mean", 4, 4, 3, 4, "decay", 0.7, batch_size=64, seed=1), 400, 0.1),
    ],
    ids=["ising", "mesh", "mesh-rgb"],
)
def test_never_below_the_entropy_and_close_to_it(name, data, steps, share):
    metrics = _trained(name, data, steps)
    assert metrics["test/gap"] > -3 * metrics["test/gap_stderr"]
    assert metrics["test/regret"] > -3 * metrics["test/regret_stderr"]
    assert metrics["test/nll"] == pytest.approx(data.image_set.entropy + metrics["test/gap"])
    assert metrics["test/regret"] < share * data.image_set.entropy
    print(f"{name} {data.dataset_id}: gap {metrics['test/gap']:.3f} nats")


@pytest.fixture(scope="module")
def blind():
    return BlindSpotMesh(shift=5, height=8, width=16, levels=2, amount=0.05, seed=1)


@pytest.mark.parametrize("name", ["pixelcnn", "row_lstm"])
def test_who_cannot_see_the_related_pixel_stays_at_log_k(name, blind):
    metrics = _trained(name, blind, 500)
    assert blind.image_set.blind_entropy == pytest.approx(128 * math.log(2))
    assert metrics["test/nll"] > blind.image_set.blind_entropy - 3 * metrics["test/gap_stderr"]
    assert metrics["test/nll"] == pytest.approx(blind.image_set.blind_entropy, rel=0.005)


def test_the_gated_pixelcnn_reaches_the_entropy_where_the_pixelcnn_is_blind(blind):
    """Nothing to the right and above is out of sight of its vertical stack."""
    metrics = _trained("gated_pixelcnn", blind, 500, kernel_size=3)
    assert metrics["test/regret"] > -3 * metrics["test/regret_stderr"]
    assert metrics["test/regret"] < 0.02 * blind.image_set.entropy  # the PixelCNN's: 75 %
    assert metrics["test/nll"] == pytest.approx(blind.image_set.entropy, rel=0.03)


@pytest.mark.parametrize("full_context", [False, True, "blank_column"])
def test_the_diagonal_bilstm_sees_it(full_context, blind):
    """All of it, or all but the last pixel of the row above: one related pixel in each row."""
    metrics = _trained("diagonal_bilstm", blind, 800, full_context=full_context)
    hidden = 0 if full_context else 7 * (math.log(2) - entropy(blind.image_set.noise_log_probs))
    attainable = blind.image_set.entropy + hidden
    # the same images with less noise: log p of each is known
    assert metrics["test/regret"] > hidden - 3 * metrics["test/regret_stderr"]
    assert metrics["test/nll"] > attainable - 3 * metrics["test/nll_stderr"]
    closed = (blind.image_set.blind_entropy - metrics["test/nll"]) / (
        blind.image_set.blind_entropy - attainable
    )
    assert closed > 0.9
    print(
        f"full_context={full_context}: nll {metrics['test/nll']:.2f}, attainable {attainable:.2f}"
    )
