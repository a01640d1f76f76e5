"""`pixelrnn data`: lists, prepares, repairs, describes."""

import io

import numpy as np
import pytest
import stored_sets
from PIL import Image
from rich.console import Console

from pixelrnn.cli import data as verb
from pixelrnn.data import catalogue
from pixelrnn.errors import ConfigError, DataError


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The catalogue with a tiny CIFAR-10 whose raw file is there."""
    module, images = stored_sets.cifar10(tmp_path)
    monkeypatch.setitem(catalogue.CATALOGUE, "cifar10", lambda root: module)
    return module, images


def _run(name, root):
    console = Console(file=io.StringIO(), width=200)
    verb.data(name, root, console)
    return console.file.getvalue()


@pytest.mark.parametrize("name", ["digits", "patches", "mesh", "blind_spot_mesh", "ising"])
def test_sets_without_files_are_described(name, tmp_path):
    text = _run(name, tmp_path)
    module = catalogue.CATALOGUE[name](tmp_path)
    assert module.dataset_id in text
    assert f"{len(module.images('train')):,}" in text
    with Image.open(tmp_path / f"{module.dataset_id}.png") as picture:
        assert len(np.unique(np.asarray(picture))) > 1
    assert ("nats per image" in text) == hasattr(module, "entropy")


def test_a_published_set_is_prepared_and_described(tiny, tmp_path):
    module, _ = tiny
    text = _run("cifar10", tmp_path)
    file = module.image_set.source.files["train"][0]
    for expected in (
        "3 x 32 x 32",
        module.image_set.source.licence,
        file.sha256,
        f"{file.bytes:,}",
        module.image_set.store.checksums()["train"],
        "45",
        str(tmp_path / "cifar10.png"),
    ):
        assert expected in text
    assert _run("cifar10", tmp_path) == text


def test_a_flipped_bit_is_found_and_repaired(tiny, tmp_path):
    module, images = tiny
    _run("cifar10", tmp_path)
    path = module.image_set.store.folder / "train.npy"
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 8
    path.write_bytes(damaged)
    assert "Converting again" in _run("cifar10", tmp_path)
    np.testing.assert_array_equal(module.image_set.part("train"), images["train"])
    assert "Converting again" not in _run("cifar10", tmp_path)


def test_damage_that_cannot_be_repaired_is_an_error(tiny, tmp_path):
    module, _ = tiny
    _run("cifar10", tmp_path)
    (module.image_set.store.folder / "train.npy").write_bytes(b"")
    (tmp_path / "raw" / "cifar-10-binary.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz is damaged"):
        _run("cifar10", tmp_path)


def test_the_list_shows_states(tiny, tmp_path):
    module, _ = tiny
    assert _state(tmp_path) == "raw files there"
    (tmp_path / "raw" / "cifar-10-binary.tar.gz").rename(tmp_path / "elsewhere")
    assert _state(tmp_path) == "not there"
    (tmp_path / "elsewhere").rename(tmp_path / "raw" / "cifar-10-binary.tar.gz")
    module.prepare_data()
    assert _state(tmp_path) == "ready"
    (module.image_set.store.folder / "train.npy").write_bytes(b"")
    assert _state(tmp_path) == "incomplete"


def _state(root):
    lines = {line.split()[1]: line for line in _run(None, root).splitlines() if line[0] == "│"}
    assert set(catalogue.CATALOGUE) <= set(lines)
    assert "needs no files" in lines["digits"]
    assert "not there" in lines["imagenet64_box"]
    return lines["cifar10"].split("│")[-2].strip()


def test_arguments(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("PIXELRNN_DATA", raising=False)
    assert verb.parse([]) == (None, verb.Path("data"))
    monkeypatch.setenv("PIXELRNN_DATA", "/elsewhere")
    assert verb.parse(["cifar10"]) == ("cifar10", verb.Path("/elsewhere"))
    assert verb.parse(["paths.data=/x", "ising"]) == ("ising", verb.Path("/x"))
    for wrong in (["a", "b"], ["root=/x"], ["cifar10", "x=1"]):
        with pytest.raises(ConfigError, match="expected one name"):
            verb.parse(wrong)
    verb.main(["--help"])
    assert "usage: pixelrnn data" in capsys.readouterr().out
    verb.main(["digits", f"paths.data={tmp_path}"])
    assert (tmp_path / "digits.png").exists()


def test_an_unknown_name_gets_a_guess(tmp_path):
    with pytest.raises(ConfigError, match=r"'cifar'\. Did you mean cifar10\? There are: .*ising"):
        _run("cifar", tmp_path)


def test_names_of_variants_lead_to_their_files():
    assert set(catalogue.ALIASES.values()) <= set(catalogue.CATALOGUE)
    assert not set(catalogue.ALIASES) & set(catalogue.CATALOGUE)
