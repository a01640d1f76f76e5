"""`pixelrnn data`: lists, prepares, repairs, describes."""

import io
import re
import time

import numpy as np
import pytest
from PIL import Image

from pixelrnn.cli import data as verb
from pixelrnn.data import Digits
from pixelrnn.data.registry import SOURCES
from pixelrnn.errors import ConfigError, DataError
from pixelrnn.results import shipped
from tests.data import stored_sets


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the verb with data under tmp_path; returns what it prints."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        verb.main([*words, f"paths.data={tmp_path}"])
        return capsys.readouterr().out

    return run


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A tiny CIFAR-10 in the table, whose raw file is there."""
    module, images = stored_sets.cifar10(tmp_path)
    monkeypatch.setitem(SOURCES, "cifar10", module.image_set.source)
    return module.image_set, images


CIFAR = ("cifar10", "data.val_size=5")


def test_the_bits_of_png_are_those_of_its_files():
    data, bits = Digits(), 0
    for image in data.images("train")[:9, 0]:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", optimize=True)
        bits += 8 * len(file.getvalue())
    told = verb.png_bits(data, most=9)
    assert told.startswith(f"{bits / (9 * 8 * 8):.2f} bits/dim, a file an image; ")
    whole, images = re.search(
        r"; ([\d.]+) as one picture \((\d+) training images\)$", told
    ).groups()
    assert 1 < float(whole) < bits / (9 * 8 * 8)
    assert images == "9"


@pytest.mark.parametrize("name", ["digits", "patches", "mesh", "blind_spot_mesh", "ising"])
def test_sets_without_files_are_described(name, run, tmp_path):
    text = run(name)
    module = verb.built(name, [shipped.conf()], {}, tmp_path)
    assert module.dataset_id in text
    assert f"{len(module.images('train')):,}" in text
    with Image.open(tmp_path / f"{module.dataset_id}.png") as picture:
        assert len(np.unique(np.asarray(picture))) > 1
    assert ("nats per image" in text) == hasattr(module.image_set, "entropy")
    assert ("10 classes: 0, 1, 2" in text) == (name == "digits")
    assert (re.search(r"^labels +none$", text, re.M) is not None) == (name != "digits")


def test_a_published_set_is_prepared_and_described(tiny, run, tmp_path):
    image_set, _ = tiny
    text = run(*CIFAR)
    file = image_set.source.files["train"][0]
    for expected in (
        "3 x 32 x 32",
        image_set.source.licence,
        file.sha256,
        f"{file.bytes:,}",
        image_set.store.checksums()["train"],
        "45",
        "10 classes: airplane, automobile, bird",
        str(tmp_path / "cifar10.png"),
    ):
        assert expected in text
    assert run(*CIFAR) == text


def test_a_flipped_bit_is_found_and_repaired(tiny, run):
    image_set, images = tiny
    run(*CIFAR)
    path = image_set.store.folder / "train.npy"
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 8
    path.write_bytes(damaged)
    assert "Converting again" in run(*CIFAR)
    np.testing.assert_array_equal(image_set.part("train"), images["train"])
    assert "Converting again" not in run(*CIFAR)


def test_damage_that_cannot_be_repaired_is_an_error(tiny, run, tmp_path):
    image_set, _ = tiny
    run(*CIFAR)
    (image_set.store.folder / "train.npy").write_bytes(b"")
    (tmp_path / "raw" / "cifar-10-binary.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz is damaged"):
        run(*CIFAR)


def test_the_list_shows_states(tiny, run, tmp_path):
    image_set, _ = tiny
    assert _state(run) == "raw files there"
    (tmp_path / "raw" / "cifar-10-binary.tar.gz").rename(tmp_path / "elsewhere")
    assert _state(run) == "not there"
    (tmp_path / "elsewhere").rename(tmp_path / "raw" / "cifar-10-binary.tar.gz")
    image_set.prepare()
    assert _state(run) == "ready"
    (image_set.store.folder / "train.npy").write_bytes(b"")
    assert _state(run) == "incomplete"


def _rows(text):
    """Name in the list -> cells of its row that are not empty."""
    _, heads, _, *rows = text.splitlines()
    assert heads.split() == ["data=", "shape", "levels", "train", "val", "test", "state"]
    cells = [re.split("  +", row) for row in rows]
    return {name: others for name, *others in cells}


def _state(run):
    rows = _rows(run())
    assert rows["digits"][-1] == "needs no files"
    assert rows["imagenet64_box"][-1] == "not there"
    return rows["cifar10"][-1]


def test_the_list_has_the_names_that_train_knows_and_counts_what_it_does_not_draw(run, monkeypatch):
    def draw(self, n, random):
        raise AssertionError("drawn to be counted")

    for name in ("ising.IsingImages", "mesh.MeshImages", "mesh.BlindSpotMeshImages"):
        monkeypatch.setattr(f"pixelrnn.data.{name}.draw", draw)
    rows = _rows(run())
    assert set(rows) == {path.stem for path in (shipped.conf() / "data").glob("*.yaml")}
    assert rows["mesh"][2:5] == ["20,000", "2,000", "2,000"]
    assert rows["cifar10"][:5] == ["3 x 32 x 32", "256", "45,000", "5,000", "10,000"]
    started = time.process_time()
    run()
    assert time.process_time() - started < 2


def test_keys_of_a_set(run, tmp_path):
    run("digits", "data.binary=true")
    assert (tmp_path / "digits_binary.png").exists()
    text = run("mesh", "data.height=3", "data.width=4", "data.train_size=70")
    assert "1 x 3 x 4" in text
    assert "70" in text


def test_the_folder_of_data_comes_from_the_environment(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PIXELRNN_DATA", str(tmp_path / "there"))
    verb.main(["digits"])
    assert (tmp_path / "there" / "digits.png").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cifar"], r"data=cifar: no such data set; did you mean cifar10"),
        (["qqqq"], "choose from .*cifar10.*ising.*mnist"),
        (["digits", "mnist"], "mnist"),
        (["digits", "root=/x"], r"root: no such key"),
        (["digits", "data.binarise=1"], r"data\.binarise: no such key; did you mean data\.binary"),
        (["digits", "data.binary=7"], r"data\.binary=7: "),
        (["patches", "data.size=12"], r"data\.size=12: input should be 8, 16, 32 or 64"),
        (["digits", "model.layers=1"], r"model\.layers: expected a key of the data set"),
        (["data.size=8"], "of which set"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, says, run, tmp_path):
    with pytest.raises(ConfigError, match=says) as caught:
        run(*words)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_help_names_the_keys(run):
    text = run("--help")
    assert "usage: pixelrnn data" in text
    assert "data.binarize=dynamic" in text


def test_a_set_that_is_wrong_hides_no_other(run, tmp_path):
    (tmp_path / "my" / "data").mkdir(parents=True)
    (tmp_path / "my" / "data" / "half.yaml").write_text(
        "defaults: [/loader@_here_, _self_]\n_target_: pixelrnn.data.Patches\nsize: ???\n"
    )
    (tmp_path / "my" / "data" / "bad.yaml").write_text("a: [")
    rows = _rows(run(f"config_dir={tmp_path / 'my'}"))
    assert rows["half"][-1] == "data=half needs data.size=..."
    assert "bad.yaml" in rows["bad"][-1]
    assert rows["digits"][-1] == "needs no files"
    assert "3 x 8 x 8" in run("half", "data.size=8", f"config_dir={tmp_path / 'my'}")
