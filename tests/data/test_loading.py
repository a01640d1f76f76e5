"""How images leave: in keyed order, the same with any number of workers, never by pickling maps."""

import os
import pickle
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer

from pixelrnn.data import CIFAR10, Digits
from pixelrnn.data.batches import Images, RandomDraws
from pixelrnn.data.file_rows import FileRows
from pixelrnn.data.sampler import Batch
from pixelrnn.errors import ConfigError, DataError
from pixelrnn.models import PixelCNN
from pixelrnn.training.module import PixelModule
from tests.data import stored_sets


@pytest.fixture
def mapped(tmp_path):
    module, images = stored_sets.imagenet(tmp_path, count=60, val_size=20)
    module.prepare_data()
    module.setup()
    return module, images


def _batch(*indices, epoch=0):
    return Batch(epoch, np.array(indices, np.int64))


def test_a_mapped_batch_keeps_its_order(mapped):
    module, images = mapped
    batch = Images(module.images("train"))[_batch(7, 3, 39, 0, 3)]
    assert batch.dtype == torch.uint8
    np.testing.assert_array_equal(batch, images["train"][[7, 3, 39, 0, 3]])
    assert Images(module.images("train"))[_batch()].shape == (0, 3, 32, 32)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_pickled_map_is_a_path(split, mapped):
    module, _ = mapped
    data = Images(module.images(split))
    data[_batch(0, 1)]
    pickled = pickle.dumps(data)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    everything = _batch(*range(len(data)))
    np.testing.assert_array_equal(again[everything], module.images(split))


@pytest.mark.parametrize(
    "part",
    [slice(None), slice(5, 11), slice(None, None, 3), slice(None, None, -1), slice(12, 13)],
    ids=str,
)
@pytest.mark.parametrize("shape", [(13, 3, 2, 5), (13, 1, 1, 1), (13,)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64"])
def test_rows_of_a_file_are_those_of_its_map(tmp_path, part, shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    rows = FileRows.of(np.load(tmp_path / "a.npy", mmap_mode="r")[part])
    assert len(rows) == len(array[part])
    for data in (rows, pickle.loads(pickle.dumps(rows))):
        for indices in ([], [0, 0], [3, 1, 3], list(range(len(array[part])))):
            wanted = np.array([i for i in indices if i < len(array[part])], np.int64)
            found = data[wanted]
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, array[part][wanted])


def test_what_is_no_plain_map_is_taken_as_it_is(tmp_path):
    """In memory, writable, or with rows whose bytes do not lie together."""
    images = np.arange(60, dtype=np.uint8).reshape(5, 1, 3, 4)
    np.save(tmp_path / "a.npy", images)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    changed[2] = 7
    for array in (images, mapped[[1, 2]], mapped[..., ::2], mapped.transpose(0, 1, 3, 2), changed):
        assert FileRows.of(array) is None
        np.testing.assert_array_equal(Images(array)[_batch(1, 0)], array[[1, 0]])


def test_a_pickled_map_is_refused_once_its_file_has_changed(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 1, 2, 2), np.uint8))
    pickled = pickle.dumps(FileRows.of(np.load(path, mmap_mode="r")))
    os.utime(path, ns=(0, 0))
    with pytest.raises(DataError, match=r"a\.npy: was written to"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.npy: No such file"):
        pickle.loads(pickled)


def test_a_pickled_data_module_opens_its_files_itself(mapped):
    module, _ = mapped
    pickled = pickle.dumps(module)
    assert len(pickled) < 10_000
    np.testing.assert_array_equal(pickle.loads(pickled).images("val"), module.images("val"))


@pytest.mark.long
@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_workers_change_nothing(start, mapped):
    module, _ = mapped
    expected = list(module.train_dataloader())
    module.num_workers = 1
    loader = module.train_dataloader()
    loader.multiprocessing_context = start
    found = list(loader)
    assert len(found) == len(expected)
    assert all(torch.equal(a.images, b.images) for a, b in zip(found, expected, strict=True))
    del loader


def test_dynamic_draws_are_keyed_by_seed_epoch_and_index(tmp_path):
    module, images = stored_sets.mnist(tmp_path, "dynamic", seed=3)
    module.prepare_data()
    data = module.training_set()
    together = data[_batch(0, 5, 9, 14, epoch=2)].images
    for row, index in enumerate((0, 5, 9, 14)):
        assert torch.equal(together[row], data[_batch(11, index, epoch=2)].images[1])
    assert not torch.equal(together, data[_batch(0, 5, 9, 14, epoch=3)].images)
    assert not torch.equal(together, RandomDraws(images["train"], 4)[_batch(0, 5, 9, 14, epoch=2)])
    assert together.max() == 1


def test_draws_have_the_probability_of_the_grey_level():
    levels = np.array([0, 1, 64, 128, 254, 255], np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (6, 1, 100, 100))
    drawn = RandomDraws(images, 0)
    mean = torch.stack([drawn[_batch(*range(6), epoch=e)].double() for e in range(20)]).mean(
        (0, 2, 3, 4)
    )
    expected = levels / 255
    error = np.sqrt(expected * (1 - expected) / 200_000)
    assert (abs(mean.numpy() - expected) <= 4 * error).all()
    assert mean[0] == 0
    assert mean[5] == 1


def test_dynamic_evaluation_images_are_drawn_once_for_all(tmp_path):
    module, images = stored_sets.mnist(tmp_path, "dynamic", seed=1)
    module.prepare_data()
    other, _ = stored_sets.mnist(tmp_path, "dynamic", seed=2)
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(module.images(split), other.images(split))
    assert not np.array_equal(module.images("train")[:5], module.images("val"))
    # the draws themselves must not change from one version of numpy to the next
    assert module.images("test").sum() == TEST_ONES
    assert images["test"].mean() / 255 == pytest.approx(module.images("test").mean(), abs=0.03)


TEST_ONES = 3891


def test_threshold_and_grey(tmp_path):
    threshold, images = stored_sets.mnist(tmp_path, "threshold")
    threshold.prepare_data()
    np.testing.assert_array_equal(threshold.images("test"), images["test"] > 127)
    grey, _ = stored_sets.mnist(tmp_path, "none")
    np.testing.assert_array_equal(grey.images("test"), images["test"])
    assert (threshold.levels, grey.levels) == (2, 256)


def test_the_variant_is_in_the_name(tmp_path):
    names = [
        stored_sets.mnist(tmp_path, binarize)[0].dataset_id
        for binarize in ("static", "dynamic", "threshold", "none")
    ]
    assert names == ["mnist_static", "mnist_dynamic", "mnist_threshold", "mnist_grey"]


def test_without_validation_images_there_is_no_loader_and_a_clear_refusal(tmp_path):
    module, images = stored_sets.cifar10(tmp_path, val_size=0)
    module.prepare_data()
    module.setup()
    assert module.splits == ("train", "test")
    assert len(module.images("train")) == len(images["train"])
    assert module.val_dataloader() == []
    with pytest.raises(DataError, match=r"cifar10 as configured has no val split, only train, te"):
        module.eval_dataloader("val")


def test_on_device_gives_the_same_batches(tmp_path):
    module, _ = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    expected = list(module.train_dataloader())
    module.on_device = True
    for found, batch in zip(module.train_dataloader(), expected, strict=True):
        assert torch.equal(found.images, batch.images)
        assert torch.equal(found.labels, batch.labels)
    module.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    assert [part.device.type for part in module.training_set()[_batch(1, 2)]] == ["meta"] * 2


def test_on_device_and_workers_exclude_each_other():
    with pytest.raises(ConfigError, match=r"data\.on_device.*data\.num_workers=0"):
        CIFAR10(on_device=True, num_workers=2)


def test_digits_carry_their_variant():
    assert Digits().dataset_id == "digits"
    assert Digits(binary=True).dataset_id == "digits_binary"


@pytest.mark.parametrize("val_size", [0, 5])
def test_training_runs_with_a_plain_trainer(val_size, tmp_path):
    """Nothing but the module and the data: all else is Lightning's default."""
    data, _ = stored_sets.cifar10(tmp_path, val_size=val_size)
    module = PixelModule(
        PixelCNN(data.image_shape, data.levels, hidden=3, layers=1, head_width=4),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
    )
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=1.0 if "val" in data.splits else 0,
        enable_model_summary=False,
        log_every_n_steps=1,
        **quiet,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(module, data)
    assert trainer.global_step == len(data.train_dataloader())


def _processes(world, own_sampler):
    connector = SimpleNamespace(use_distributed_sampler=own_sampler)
    return SimpleNamespace(world_size=world, global_rank=1, _accelerator_connector=connector)


def test_a_trainer_that_would_deal_the_images_itself_is_refused(tmp_path):
    data = Digits()
    order = data._share
    data.trainer = _processes(2, own_sampler=True)
    with pytest.raises(ConfigError, match=r"trainer\.use_distributed_sampler=true.*set trainer"):
        data.eval_dataloader("val")
    data.trainer = _processes(2, own_sampler=False)
    assert order() == (1, 2)
    halves = [len(batch.images) for batch in data.eval_dataloader("val")]
    assert sum(halves) == 225 // 2
    data.trainer = _processes(1, own_sampler=True)
    assert order() == (0, 1)


@pytest.mark.parametrize("name", sorted(stored_sets.MAKERS))
def test_missing_data_leave_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "root"
    module, _ = stored_sets.MAKERS[name](root)
    shutil.rmtree(root)
    source = module.image_set.source
    if not source.by_hand:
        files = {
            part: tuple(replace(file, urls=("http://127.0.0.1:9/x",)) for file in group)
            for part, group in source.files.items()
        }
        module.image_set.source = replace(source, files=files)
    with pytest.raises(DataError, match=r"(?s)is missing.*(fetch|network)") as caught:
        module.prepare_data()
    assert str(root / "raw") in str(caught.value)
    left = [] if source.by_hand else ["root"]
    assert [path.name for path in tmp_path.iterdir()] == left
    assert not [path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"]
