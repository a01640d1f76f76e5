"""A model as one file: it comes back as it was, and a hostile or damaged file is refused."""

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch

import pixelrnn
from pixelrnn.cli.main import main
from pixelrnn.data import Digits
from pixelrnn.errors import RunError
from pixelrnn.models import PixelCNN
from pixelrnn.training import load, preparation, run, weights
from tests.cli.commands import TINY
from tests.helpers import CATALOGUE, name_of
from tests.training.test_run import config, only_run

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {"hidden": 4, "layers": 1, "head_width": 4}


def parts(path):
    """Header and tensors' bytes of a file."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.fixture
def path(tmp_path):
    weights.save(tmp_path / "model.safetensors", PixelCNN((1, 8, 8), 17, **SMALL))
    return tmp_path / "model.safetensors"


NAMED = [case for case in CATALOGUE if not case.name.endswith("-given")]
"""Models of classes that a file can name: all but those that a function of the tests makes."""


@pytest.mark.parametrize("case", NAMED, ids=name_of)
def test_every_model_comes_back(tmp_path, case):
    model = case((3, 3, 4), 4, dtype=torch.float32)
    weights.save(tmp_path / "x.safetensors", model)
    loaded = pixelrnn.load_model(tmp_path / "x.safetensors")
    assert type(loaded) is type(model)
    assert loaded.description() == model.description()
    assert loaded.class_names == model.class_names
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_the_names_of_classes_come_back(tmp_path):
    model = PixelCNN((1, 8, 8), 17, **SMALL, classes=3)
    model.class_names = ("cat", "dog", "größe")
    weights.save(tmp_path / "x.safetensors", model)
    assert pixelrnn.load_model(tmp_path / "x.safetensors").class_names == model.class_names


def test_a_run_leaves_its_best_weights_and_needs_no_checkpoint_after_that():
    results = run.train(config())
    folder = only_run()
    about = weights.read(folder / weights.NAME)["about"]
    assert about["dataset_id"] == "digits"
    assert about["signature"] == results["signature"]
    for name in ("val/bits_per_dim", "test/bits_per_dim"):
        assert float(about[name]) == results["metrics"][name]
    images = torch.from_numpy(Digits().images("test")[:5].copy())
    expected = load.load_model(folder).log_prob(images)
    assert torch.equal(load.load_model(folder / weights.NAME).log_prob(images), expected)
    begun = preparation.prepare(config(init_from=str(folder / weights.NAME), seed=1))
    assert preparation.prepare(config(init_from=str(folder), seed=1)).folder == begun.folder
    best = folder / "checkpoints" / "best.ckpt"
    best.write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"weights\.safetensors holds the weights of the finished r"):
        load.load_model(folder)
    shutil.rmtree(folder / "checkpoints")
    assert torch.equal(load.load_model(folder).log_prob(images), expected)


def test_the_verbs_take_a_file_that_stands_alone(capfd):
    assert main([*TINY, "folder=run", "evaluate=[test]"]) == 0
    expected = json.loads(Path("run/results.json").read_text())["metrics"]["test/bits_per_dim"]
    shutil.move("run/weights.safetensors", "given.safetensors")
    assert main(["sample", "run=given.safetensors", "n=2"]) == 0
    assert Path("samples/sample-n2-seed0-t1.npy").is_file()
    capfd.readouterr()
    for words in (["data=digits"], ["data=digits", "data.batch_size=7"]):
        assert main(["evaluate", "run=given.safetensors", *words]) == 0
        assert f"{expected:.4f}" in capfd.readouterr().out
    for words, says in (
        ([], "stands alone, without its run's data; name them, as data=NAME"),
        (["data=mnist"], "data=mnist: shape (1, 28, 28), but the model is of shape (1, 8, 8)"),
        (["data=digits", "data.binary=true"], "data=digits: levels 2, but the model is of levels"),
        (["data.binary=true"], "data.binary: of which set? Give its name, as data=NAME"),
    ):
        assert main(["evaluate", "run=given.safetensors", *words]) == 2
        (line,) = capfd.readouterr().err.strip().splitlines()
        assert says in line
    for verb in (["complete"], ["audit"], ["figure", "surprise"], ["figure", "curves"]):
        assert main([*verb, "run=given.safetensors"]) == 2
        (line,) = capfd.readouterr().err.strip().splitlines()
        assert "given.safetensors: stands alone, without the config.yaml of its run" in line


def described(header, **changes):
    model = json.loads(header["__metadata__"]["model"]) | changes
    header["__metadata__"]["model"] = json.dumps(model)


HOSTILE = {
    "names a command": lambda h: described(h, _target_="os.mkdir", image_shape="ran"),
    "names a command by another way": lambda h: described(h, _target_="pixelrnn.atomic.os.mkdir"),
    "a model of a petabyte": lambda h: described(h, hidden=10**7),
    "a model of a billion layers": lambda h: described(h, layers=10**9),
    "another model than its weights": lambda h: described(h, hidden=6),
    "negative": lambda h: described(h, hidden=-1),
    "no description": lambda h: h["__metadata__"].pop("model"),
    "a description that is no JSON": lambda h: h["__metadata__"].update(model="{"),
    "a description that is deep": lambda h: h["__metadata__"].update(model="[" * 100_000),
    "a description that is a list": lambda h: h["__metadata__"].update(model="[1]"),
    "of another format": lambda h: h["__metadata__"].update(format="pt"),
    "of a later version": lambda h: h["__metadata__"].update(version="2"),
    "no header": lambda h: h.pop("__metadata__"),
    "no hash": lambda h: h["__metadata__"].pop("weights_sha256"),
    "another hash": lambda h: h["__metadata__"].update(weights_sha256="0" * 64),
    "tensors outside of the file": lambda h: first(h).update(data_offsets=[0, 10**12]),
    "a shape that its bytes do not fill": lambda h: first(h).update(shape=[10**9]),
}


def first(header):
    return next(value for name, value in header.items() if name != "__metadata__")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused(path, name):
    header, data = parts(path)
    HOSTILE[name](header)
    write(path, header, data)
    with pytest.raises(RunError) as caught:
        load.load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("ran").exists()


def test_damage_is_found_wherever_it_is(path):
    content = path.read_bytes()
    sound = load.load_model(path).state_dict()
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(RunError):
            load.load_model(path)
    for place in range(0, len(content), 53):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            found = load.load_model(path).state_dict()
        except RunError:
            continue
        # no more than a word of the header that says nothing about the model may differ
        assert all(torch.equal(value, sound[key]) for key, value in found.items())
    path.write_bytes(struct.pack("<Q", 2**60) + content[8:])
    with pytest.raises(RunError, match="not readable weights"):
        load.load_model(path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = PixelCNN((1, 8, 8), 17, **SMALL)
    next(iter(model.parameters())).data.view(-1)[0] = float("nan")
    weights.save(tmp_path / "x.safetensors", model)
    with pytest.raises(RunError, match="holds values that are not finite"):
        load.load_model(tmp_path / "x.safetensors")


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disc full")))
    with pytest.raises(OSError, match="disc full"):
        weights.save(path, PixelCNN((1, 8, 8), 17, **SMALL))
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["model.safetensors"]
