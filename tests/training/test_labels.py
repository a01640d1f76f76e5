"""Labels reach a model that has classes, and no other; what they stand for is kept."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from pixelrnn.data import Digits
from pixelrnn.errors import TrainingError
from pixelrnn.models import PixelCNN
from pixelrnn.runs import record
from pixelrnn.training import load, preparation, run, sample_grid
from pixelrnn.training.classification import classify
from pixelrnn.training.evaluate import evaluate
from pixelrnn.training.module import PixelModule
from pixelrnn.training.sample_grid import rows_of_classes
from tests.helpers import randomise
from tests.training.test_run import config, only_run

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
SMALL = {"hidden": 4, "layers": 1, "head_width": 4}


def _model(classes=None):
    return randomise(PixelCNN((1, 8, 8), 17, classes=classes, **SMALL), 0.3).eval()


def _trainer(**settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return pl.Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **settings)


@pytest.mark.parametrize("classes", [None, 10])
@pytest.mark.parametrize("own_loader", [False, True])
def test_the_likelihood_is_that_of_the_images_given_their_labels(classes, own_loader):
    model, data = _model(classes), Digits()
    images, labels = (torch.from_numpy(part("test")) for part in (data.images, data.labels))
    with torch.no_grad():
        expected = -model.log_prob(images, labels if classes else None).double().mean().item()
    if own_loader:
        loader = DataLoader(TensorDataset(images, labels), batch_size=50)
        (metrics,) = _trainer().test(PixelModule(model), loader, verbose=False)
    else:
        metrics = evaluate(model, data, "test")
    assert metrics["test/nll"] == pytest.approx(expected, rel=1e-6)


def test_labels_that_are_missing_are_named():
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"labels must be int64 of shape \(4,\) in \[0, 10\)"):
        _trainer().test(PixelModule(_model(10)), DataLoader(images, batch_size=4), verbose=False)
    with pytest.raises(ValueError, match=r"in \[0, 3\), got"):
        _trainer(max_epochs=1).fit(PixelModule(_model(3)), Digits())


def test_a_conditional_run_from_its_configuration_to_its_record():
    results = run.train(config(model__classes="data"))
    folder = only_run()
    assert record.config(folder)["model"]["classes"] == 10
    assert results["class_names"] == list("0123456789")
    assert load.load_model(folder).class_names == tuple("0123456789")
    assert preparation.prepare(config(model__classes=10)).folder == folder
    assert (
        preparation.prepare(config(model__classes=None)).folder
        == preparation.prepare(config()).folder
    )
    assert preparation.prepare(config()).folder != folder
    assert preparation.prepare_again(record.config(folder)).record["metrics"] == results["metrics"]


def test_a_training_does_not_go_on_when_labels_mean_something_else(tmp_path):
    module, trainer = PixelModule(_model(10)), _trainer(max_epochs=1, limit_train_batches=1)
    trainer.fit(module, Digits())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    swapped = Digits()
    swapped.class_names = ("1", "0", *swapped.class_names[2:])
    says = r"stand for 1, 0, 2, 3, 4, \.\.\., but in the checkpoint for 0, 1, 2"
    with pytest.raises(TrainingError, match=says):
        _trainer(max_epochs=2).fit(PixelModule(_model(10)), swapped, ckpt_path=tmp_path / "x.ckpt")
    assert load.load_model(tmp_path / "x.ckpt").class_names == tuple("0123456789")


def test_checkpoints_that_name_no_classes_are_loaded(tmp_path):
    for names in ("missing", ["a", "b"], "abcdefghij", None):
        trainer = _trainer(max_epochs=1, limit_train_batches=1)
        trainer.fit(PixelModule(_model(10)), Digits())
        content = trainer._checkpoint_connector.dump_checkpoint()
        content["class_names"] = names
        if names == "missing":
            del content["class_names"]
        torch.save(content, tmp_path / "x.ckpt")
        assert load.load_model(tmp_path / "x.ckpt").class_names == ()


@pytest.mark.parametrize(
    ("classes", "n", "rows", "columns"), [(10, 36, 10, 4), (3, 3, 3, 1), (1000, 36, 36, 1)]
)
def test_a_picture_has_a_row_for_each_class(classes, n, rows, columns):
    labels, found = rows_of_classes(classes, n)
    assert found == columns
    assert labels.view(rows, columns).tolist() == [[row] * columns for row in range(rows)]


def test_a_picture_of_a_model_with_classes_is_drawn(tmp_path):
    of_classes, plain = (
        sample_grid.write(model, 20, 0, tmp_path / "x") for model in (_model(10), _model())
    )
    assert of_classes.size[1] > plain.size[1]


@pytest.mark.parametrize("prior", ["train", "uniform"])
def test_a_model_that_ignores_its_labels_is_worth_as_much_without(prior):
    """Then p(x) is p(x | y), and all classes are as likely as they were before."""
    model, data = _model(10), Digits()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "of_vector" in name:
                weight.zero_()
    found = classify(model, data, "val", prior)
    expected = evaluate(model, data, "val")
    assert found["val/marginal_nll"] == pytest.approx(expected["val/nll"], rel=1e-6)
    for name in ("marginal_bits_per_dim", "marginal_nll"):
        error = expected[f"val/{name.removeprefix('marginal_')}_stderr"]
        assert found[f"val/{name}_stderr"] == pytest.approx(error, rel=1e-4)
    assert found["val/accuracy"] < 0.2
