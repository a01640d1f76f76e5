"""Codes of one's own through every verb: what has no picture is an array, or one line."""

import json

import numpy as np
import pytest

from pixelrnn.cli import report
from pixelrnn.cli.main import main
from pixelrnn.training import checks, load
from tests.data import own_files

LEVELS = 300
SMALL = [
    "model=gated_pixelcnn",
    "model.embed=3",
    "model.hidden=3",
    "model.layers=1",
    "model.first_kernel_size=3",
    "model.head_width=4",
    "model.classes=data",
    "trainer.max_epochs=1",
    "callbacks.samples.every_n_epochs=1",
    "logger=csv",
    "threads=1",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a class-conditional model on embedded codes; its folder."""
    folder = tmp_path_factory.mktemp("codes")
    path = own_files.codes(folder, count=80, shape=(2, 3, 4), levels=LEVELS)
    np.save(folder / "labels.npy", np.arange(80) % 3)
    data = [f"data.path={path}", f"data.classes={folder / 'labels.npy'}", f"paths.data={folder}/d"]
    assert main(["train", "data=codes", *data, *SMALL, f"folder={folder / 'run'}"]) == 0
    return folder / "run"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_samples_in_training_are_arrays(run, capfd):
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        "epoch-0001.npy",
        "final.npy",
    ]
    final = np.load(run / "samples" / "final.npy")
    assert (final.dtype, final.shape) == (np.uint16, (36, 2, 3, 4))
    report.show(json.loads((run / "results.json").read_text()), run, "done")
    assert f"samples    {run}/samples/final.npy\n" in capfd.readouterr().out


def test_samples_and_completions_are_arrays(run, tmp_path, capfd):
    assert main(["sample", f"run={run}", "n=5", "label=each", "grow=true", "out=s.png"]) == 0
    assert capfd.readouterr().out == "15 images: s.npy and -labels.npy\n"
    drawn = np.load("s.npy")
    assert (drawn.dtype, drawn.shape) == (np.uint16, (15, 2, 3, 4))
    assert 255 < drawn.max() < LEVELS
    assert np.load("s-labels.npy").tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert main(["complete", f"run={run}", "n=2", "draws=3", "out=c"]) == 0
    rows = np.load("c.npy").reshape(2, 5, 2, 3, 4)
    assert (rows[:, 1:4, :, 0] == rows[:, 4:, :, 0]).all()  # the upper half is known
    assert not list(tmp_path.glob("*.png"))


def test_a_file_comes_back_as_an_array_alone(run, capfd):
    codes = load.load_data(run).images("test")
    np.save("x.npy", codes.astype(np.int64))
    labels = load.load_data(run).labels("test")
    np.save("x-labels.npy", labels)
    assert main(["compress", f"run={run}", "in=x.npy", "out=x.prnn"]) == 0
    assert main(["decompress", f"run={run}", "in=x.prnn", "out=back.npy"]) == 0
    back = np.load("back.npy")
    assert back.dtype == np.uint16
    assert np.array_equal(back, codes)
    assert np.array_equal(np.load("back-labels.npy"), labels)
    capfd.readouterr()
    assert main(["decompress", f"run={run}", "in=x.prnn", "out=pictures"]) == 2
    assert "out=pictures: the images have 300 levels, and pictures 256 at most: name an array" in (
        capfd.readouterr().err
    )
    assert main(["compress", f"run={run}", "in=pictures", "out=y.prnn", "labels=0"]) == 2
    assert "pictures have 256 levels at most, and the model has 300" in capfd.readouterr().err


@pytest.mark.parametrize("value", [LEVELS, -1])
def test_codes_that_the_model_does_not_have_are_refused(run, value, capfd):
    codes = load.load_data(run).images("test").astype(int)
    codes[-1, -1, -1, -1] = value
    np.save("x.npy", codes)
    assert main(["compress", f"run={run}", "in=x.npy", "out=x.prnn", "labels=0"]) == 2
    assert "x.npy: holds values that are not below the model's 300 levels" in capfd.readouterr().err


def test_the_audit_codes_them_at_the_bits_of_their_likelihood(run, capfd):
    assert main(["audit", f"run={run}", "n=4", "samples=4", "out=a.png"]) == 0
    assert "coded" in capfd.readouterr().out


KINDS = {
    "surprise": ["n=2"],
    "softmax": ["n=2"],
    "likelihood": ["n=4", "show=2"],
    "completions": ["n=1", "draws=2"],
    "classes": ["n=2"],
    "receptive_field": ["n=2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_codes_are_drawn(run, kind):
    assert main(["figure", kind, f"run={run}", *KINDS[kind], "out=f.png"]) == 0


def test_nearest_neighbours_of_codes_are_refused(run, capfd):
    assert main(["figure", "neighbours", f"run={run}", "out=f.png"]) == 2
    err = capfd.readouterr().err
    assert "its symbols are embedded and have no order, so that no distance" in err


def test_codes_taken_for_shades_are_told(run, tmp_path, capfd):
    data = [f"data.path={run.parent}/codes.npy", f"paths.data={run.parent}/d"]
    small = [word for word in SMALL if "embed" not in word and "classes" not in word]
    words = ["train", "data=codes", *data, *small, "trainer.max_steps=1", "folder=x"]
    checks.advise(load.load_model(run), load.load_data(run))  # its model embeds them
    assert not capfd.readouterr().err
    assert main(words) == 0
    assert "and the model takes them for shades: model.embed=64" in capfd.readouterr().err
    assert np.load("x/samples/final.npy").dtype == np.uint16  # more levels than a picture has


def test_the_data_verb_describes_codes_without_a_picture(run, capfd):
    words = [f"data.path={run.parent}/codes.npy", f"data.classes={run.parent}/labels.npy"]
    assert main(["data", "codes", *words, f"paths.data={run.parent}/d"]) == 0
    out = capfd.readouterr().out
    assert "80 maps of int64" in out
    assert "3 classes: 0, 1, 2" in out
    assert not list(run.parent.glob("d/*.png"))
