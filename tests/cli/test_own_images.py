"""Own images go through every verb as any other set does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelrnn.cli.main import main
from tests.cli.commands import TINY
from tests.data import own_files

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def run(*words):
    assert main([*map(str, words)]) == 0


def test_a_folder_is_trained_on_and_its_own_files_are_compressed(capfd):
    path = own_files.folder(Path("photos"), count=40, mode="L", height=4, width=5)
    for number in (0, 1):
        (path / f"class{number}").mkdir()
        for file in sorted(path.glob(f"?{number}?.png")):
            file.rename(path / f"class{number}" / file.name)
    for file in path.glob("*.png"):
        file.rename(path / "class0" / file.name)
    words = ("data=images", "data.path=photos", "data.classes=folders", "model.classes=data")
    run(*TINY, *words, "folder=runs/own")
    run("complete", "run=runs/own", "n=2", "draws=1", "out=completed")
    assert np.load("completed.npy").shape == (6, 1, 4, 5)
    run("sample", "run=runs/own", "label=class1", "n=3", "out=some")
    run("compress", "run=runs/own", "in=photos/class0", "labels=class0", "out=x.prnn")
    run("decompress", "run=runs/own", "in=x.prnn", "out=again")
    files = sorted((path / "class0").iterdir())
    again = sorted(Path("again").iterdir())
    assert len(files) == len(again) > 9
    for one, other in zip(files, again, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other)))
    capfd.readouterr()
    own_files.picture(99, 4, 5, "L").save(path / "class0" / "new.png")
    assert main(["complete", "run=runs/own", "n=2"]) == 2
    assert "the files of its data have changed since it was trained" in capfd.readouterr().err
    assert main(["train", "run=runs/own", "folder=again"]) == 2
    assert "have changed since" in capfd.readouterr().err


@pytest.mark.parametrize("channels", [5])
def test_images_of_several_channels_are_trained_on_and_drawn(channels):
    shades = np.random.default_rng(0).integers(256, size=(40, channels, 4, 3), dtype=np.uint8)
    np.save("x.npy", shades)
    words = ("data=images", "data.path=x.npy", "data.levels=8", "data.layout=NCHW")
    run(*TINY, *words, "folder=runs/own", "model.hidden=7")
    run("sample", "run=runs/own", "n=4", "out=some")
    assert np.load("some.npy").shape == (4, channels, 4, 3)
    assert np.load("some.npy").max() < 8
    run("complete", "run=runs/own", "n=2", "draws=1", "out=completed")
    run("compress", "run=runs/own", "in=some.npy", "out=x.prnn")
    run("decompress", "run=runs/own", "in=x.prnn", "out=again.npy")
    np.testing.assert_array_equal(np.load("again.npy"), np.load("some.npy"))
    run("data", "images", *words[1:])
