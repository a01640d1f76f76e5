"""`eval_batch_size=auto`: by memory, the same number every time, and the same likelihoods."""

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.data import Digits
from pixelrnn.layers import dropout
from pixelrnn.models import GatedPixelCNN, MultiScale, PixelCNN, RowLSTM
from pixelrnn.training import evaluation_batch
from pixelrnn.training.evaluate import evaluate
from pixelrnn.training.module import PixelModule
from tests.helpers import CATALOGUE, name_of


def small(**settings):
    torch.manual_seed(0)
    return PixelCNN((1, 8, 8), 17, hidden=4, layers=1, **settings)


def trainer(**settings):
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **settings,
    )


class Wasteful(PixelCNN):
    """Holds tensors of a known size at once, beside what the network takes."""

    kilobytes = 0

    def _log_prob(self, images, labels=None):
        held = torch.empty(len(images), self.kilobytes, 256)  # no page of it is touched
        found = super()._log_prob(images, labels)
        del held
        return found


def test_bytes_are_counted_exactly():
    """Two models that differ by so many kilobytes an image, which are alive at the peak."""
    torch.manual_seed(0)
    model = Wasteful((1, 4, 4), levels=4, hidden=2, layers=1)
    evaluation_batch.peak_bytes(model, 1)  # what is made once is made
    before = [evaluation_batch.peak_bytes(model, images) for images in (1, 2, 5)]
    model.kilobytes = 300
    after = [evaluation_batch.peak_bytes(model, images) for images in (1, 2, 5)]
    grown = [b - a for a, b in zip(before, after, strict=True)]
    assert grown == [300 * 1024 * images for images in (1, 2, 5)]
    for _ in range(3):  # what is freed is no longer counted
        assert evaluation_batch.peak_bytes(model, 2) == after[1]


@pytest.mark.parametrize(("kilobytes", "count"), [(300, 128), (700, 64), (20_000, 8), (200_000, 4)])
def test_the_batch_stays_within_the_target_but_for_the_least(kilobytes, count):
    torch.manual_seed(0)
    model = Wasteful((1, 4, 4), levels=4, hidden=2, layers=1)
    model.kilobytes = kilobytes
    assert evaluation_batch.images_within(model, "cpu") == count
    peak = evaluation_batch.peak_bytes(model, count) if count > 8 else 0
    assert peak <= evaluation_batch.TARGET["cpu"]


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_every_model_gets_a_batch_and_stays_as_it_was(case):
    model = case((3, 4, 4), 5, dtype=torch.float32)
    model.train()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    count = evaluation_batch.images_within(model, "cpu")
    assert 64 <= count <= evaluation_batch.MOST
    assert evaluation_batch.images_within(model, "cpu") == count
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in model.parameters())


def test_the_number_does_not_depend_on_what_was_computed_before():
    """Memory that is made once in a process is not counted as that of an image."""
    torch.manual_seed(0)
    made = []

    class MadeOnce(Wasteful):
        def _log_prob(self, images, labels=None):
            if not made:
                made.append(torch.zeros(2**20))
            return super()._log_prob(images, labels)

    model = MadeOnce((1, 4, 4), levels=4, hidden=2, layers=1)
    first = evaluation_batch.images_within(model, "cpu")
    assert first == evaluation_batch.images_within(model, "cpu")
    made.clear()
    assert first == evaluation_batch.images_within(model, "cpu")


def test_dropout_draws_nothing_and_labels_are_given():
    model = GatedPixelCNN((1, 4, 4), 4, hidden=4, layers=1, classes=3, dropout=0.5).train()
    assert dropout.layers_of(model)
    assert evaluation_batch.images_within(model, "cpu") > 8


def test_frozen_parts_stay_in_eval_mode():
    small_one = RowLSTM((1, 2, 2), 4, hidden=2, layers=1).requires_grad_(False)
    large = PixelCNN((1, 4, 4), 4, hidden=2, layers=1, map_features=2)
    model = MultiScale(small_one, large, upsampling_width=2).train()
    assert not model.small.training
    evaluation_batch.peak_bytes(model, 1)
    assert model.training
    assert not model.small.training


def test_likelihoods_are_those_of_other_batches():
    """Up to rounding in float32, in nats of about 200: every image is computed alone."""
    model = small()
    found = [evaluate(model, Digits(eval_batch_size=batch), "test") for batch in (7, 64, "auto")]
    for metrics in found[1:]:
        assert metrics == pytest.approx(found[0], rel=1e-6, abs=1e-6)


def test_it_is_settled_once_said_and_recorded(capsys):
    data, module = Digits(), PixelModule(small())
    assert data.evaluation_batch is None
    fitting = trainer(max_steps=1, limit_val_batches=1)
    fitting.fit(module, data)
    count = evaluation_batch.images_within(module.model, "cpu")
    assert data.evaluation_batch == count
    first = next(iter(data.val_dataloader())).images
    assert len(first) == min(count, len(data.images("val")))
    said = capsys.readouterr().err
    assert said.count(f"evaluates {count} images at once (data.eval_batch_size=auto)") == 1
    evaluate(module.model, data, "val")
    assert "at once" not in capsys.readouterr().err
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["evaluation_batch"] == count


@pytest.mark.parametrize(("given", "expected"), [("auto", 24), (32, 32)])
def test_a_resumed_run_keeps_the_number_unless_one_is_given(given, expected):
    """As when a later version would choose another one."""
    data, module = Digits(eval_batch_size=given), PixelModule(small())
    module.trainer = trainer(max_steps=1)
    module.trainer.datamodule = data
    module.setup("fit")
    module.on_load_checkpoint({"evaluation_batch": 24})
    assert data.evaluation_batch == expected


def test_several_processes_share_a_batch():
    class Two:
        world_size = 2
        strategy = type("Strategy", (), {"root_device": torch.device("cpu")})

    data, model = Digits(), small()
    evaluation_batch.settle(data, model, Two())
    assert data.evaluation_batch == 2 * evaluation_batch.images_within(model, "cpu")
    first, second = (
        len(next(iter(data.eval_dataloader("train", (rank, 2)))).images) for rank in (0, 1)
    )
    assert first == second == data.evaluation_batch // 2


def test_a_data_module_of_somebody_else_is_left_alone():
    data, checkpoint = object(), {}
    trainer = type("Trainer", (), {"datamodule": data})
    evaluation_batch.settle(data, small(), None)
    evaluation_batch.save(checkpoint, trainer)
    assert checkpoint == {}
    evaluation_batch.load({"evaluation_batch": 24}, trainer)  # an object takes no attribute


def test_other_words_than_auto_are_refused():
    with pytest.raises(Exception, match="eval_batch_size"):
        Digits(eval_batch_size="automatic")
