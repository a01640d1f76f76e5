"""`compress` and `decompress`: every pixel comes back, and nothing half written stays."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelrnn.cli.main import main
from pixelrnn.compression import container, image_files, streams
from pixelrnn.errors import DataError
from pixelrnn.models import PixelCNN
from pixelrnn.training import load

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def refused(capfd, *argv, code=2):
    assert main([*argv]) == code
    err = capfd.readouterr().err.strip().splitlines()
    assert len(err) == 1, err
    return err[0]


@pytest.fixture
def digits(run):
    """An array of test images of the run, and what it holds."""
    images = load.load_data(run).images("test")[:40]
    np.save("images.npy", images)
    return images


def test_an_array_comes_back(run, digits, capfd):
    assert main(["compress", f"run={run}", "in=images.npy", "out=x.prnn"]) == 0
    out = capfd.readouterr().out
    size = os.path.getsize("x.prnn")
    assert out.startswith("x.prnn: 40 images in ")
    payload, fixed = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) bytes", out))
    assert payload + fixed == size
    assert main(["decompress", f"run={run}", "in=x.prnn", "out=back.npy"]) == 0
    assert np.array_equal(np.load("back.npy"), digits)
    assert capfd.readouterr().out == "40 images: back.npy\n"


def test_pictures_come_back(run, digits, capfd):
    image_files.write_pictures(Path("photos"), [torch.from_numpy(digits)], 17)
    before = [np.asarray(Image.open(path)) for path in sorted(Path("photos").iterdir())]
    pattern = ["compress", f"run={run}", "batch_size=16", "verify=false"]
    assert main([*pattern, "in=photos", "out=a.prnn"]) == 0
    assert main([*pattern, "in=photos/*.png", "out=b.prnn"]) == 0
    listed = [f"photos/{name}" for name in sorted(os.listdir("photos"))]
    assert main([*pattern, *listed, "out=c.prnn"]) == 0
    files = [Path(f"{name}.prnn").read_bytes() for name in "abc"]
    assert files[0] == files[1] == files[2]
    assert main(["decompress", f"run={run}", "in=a.prnn", "out=new/back"]) == 0
    found = [np.asarray(Image.open(path)) for path in sorted(Path("new/back").iterdir())]
    assert np.array_equal(found, before)
    assert "exists already" in refused(
        capfd, "decompress", f"run={run}", "in=a.prnn", "out=new/back"
    )


@pytest.mark.parametrize("out", ["back.npy", "back"])
def test_what_fails_leaves_nothing(run, digits, out, capfd, monkeypatch):
    monkeypatch.setattr(container, "STREAM_SUBPIXELS", 64 * 10)
    monkeypatch.setattr(streams, "Decoder", Broken)
    words = [f"run={run}", "in=images.npy", "out=x.prnn", "batch_size=10", "verify=false"]
    assert main(["compress", *words]) == 0
    capfd.readouterr()
    before = set(os.listdir())
    for problem, code in (("break", 2), ("stop", 130)):
        Broken.left, Broken.problem = 2 * 64, problem
        assert main(["decompress", f"run={run}", "in=x.prnn", f"out={out}"]) == code
        assert set(os.listdir()) == before
    err = capfd.readouterr().err
    assert "x.prnn: decodes to other pixels than were coded" in err
    assert "decompress was interrupted" in err


class Broken(streams.Decoder):
    """A decoder that fails, or is interrupted, after some symbols."""

    left, problem = 0, ""

    def decode(self, table):
        Broken.left -= 1
        symbols = super().decode(table)
        if Broken.left == 0 and Broken.problem == "stop":
            raise KeyboardInterrupt
        return (symbols + 1) % 17 if Broken.left == 0 else symbols


def test_ctrl_c_keeps_the_old_file(run, digits, capfd, monkeypatch):
    Path("x.prnn").write_text("old")
    before = set(os.listdir())

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(streams, "encoded", interrupted)
    assert main(["compress", f"run={run}", "in=images.npy", "out=x.prnn"]) == 130
    assert "compress was interrupted; the same command begins anew" in capfd.readouterr().err
    assert set(os.listdir()) == before
    assert Path("x.prnn").read_text() == "old"


def test_bad_input_is_one_line(run, digits, capfd):
    Path("empty").mkdir()
    Path("text.png").write_text("none")
    Path("text.npy").write_text("none")
    np.save("objects.npy", np.array([{}], dtype=object))
    np.save("large.npy", np.full((2, 1, 8, 8), 17, np.uint8))
    np.save("wide.npy", np.zeros((2, 1, 8, 9), np.uint8))
    Image.fromarray(np.zeros((8, 9), np.uint8)).save("wide.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("color.png")
    Image.fromarray(np.full((8, 8), 3, np.uint8)).save("shade.png")
    for given, reason in {
        "nowhere": "no such file, folder or pattern",
        "empty": "no PNG pictures",
        "text.png": "not a PNG picture",
        "text.npy": "not an array of numbers",
        "objects.npy": "not an array of numbers",
        "large.npy": "not below the model's 17 levels",
        "wide.npy": "expected integers (N, 1, 8, 8), got uint8 (2, 1, 8, 9)",
        "wide.png": "L of 8 rows and 9 columns, but the model takes L of 8 rows and 8",
        "color.png": "RGB of 8 rows",
        "shade.png": "none of the model's 17 levels",
    }.items():
        err = refused(capfd, "compress", f"run={run}", f"in={given}", "out=x.prnn")
        assert given in err
        assert reason in err
    compress = ["compress", f"run={run}", "in=images.npy"]
    assert "out: must be given" in refused(capfd, *compress)
    assert "out=empty: is a folder" in refused(capfd, *compress, "out=empty")
    assert "batch_size=2000" in refused(capfd, *compress, "out=x", "batch_size=2000")
    assert "in: must be given, as in=..." in refused(capfd, "compress", f"run={run}", "out=x")
    assert not Path("x.prnn").exists()
    for given, reason in {"nowhere": "cannot be read", "text.npy": "not a compressed file"}.items():
        err = refused(capfd, "decompress", f"run={run}", f"in={given}", "out=y")
        assert err.startswith(f"pixelrnn: {given}: ")
        assert reason in err
    assert not Path("y").exists()


def test_labels_are_an_array_of_integers(run, digits, capfd):
    np.save("labels.npy", np.arange(40))
    np.save("floats.npy", np.zeros(40))
    words = ["compress", f"run={run}", "in=images.npy", "out=x.prnn"]
    assert "the model has no classes" in refused(capfd, *words, "labels=labels.npy")
    assert "expected integers (N,)" in refused(capfd, *words, "labels=floats.npy")
    with pytest.raises(DataError):
        image_files.labels("nowhere.npy")


@pytest.mark.parametrize("levels", [17, 300, 65_536])
@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 1, 3, 4)], ids=str)
def test_arrays_may_be_of_any_integers_and_leave_out_one_colour(levels, shape):
    images = np.random.default_rng(0).integers(levels, size=shape)
    np.save("x.npy", images)
    found = image_files.opened(["x.npy"], (1, 3, 4), levels)
    taken = found.take(slice(1, 4))
    assert found.count == 5
    assert taken.dtype == (torch.uint8 if levels == 17 else torch.int32)
    assert np.array_equal(taken[:, 0], images.reshape(5, 3, 4)[1:4])


@pytest.mark.parametrize("levels", [2, 3, 17, 255, 256])
@pytest.mark.parametrize("colors", [1, 3])
def test_every_level_has_a_shade_of_its_own(levels, colors):
    images = torch.randint(levels, (2, colors, 16, 18), dtype=torch.uint8)
    image_files.write_pictures(Path("p"), [images], levels)
    found = image_files.opened(["p"], (colors, 16, 18), levels)
    assert torch.equal(found.take(slice(0, found.count)), images)


def test_help_names_the_keys(capsys):
    assert main(["compress", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: pixelrnn compress IN run=... out=...")
    assert "in=..." in out
    assert "in_" not in out


def test_audit_shows_one_table_and_a_plot(run, capfd):
    assert main(["audit", f"run={run}", "n=60", "samples=20", "threads=1"]) == 0
    out = capfd.readouterr().out
    for name in ("NLL by log_prob", "coded", "own samples: entropy", "PNG, all as one picture"):
        assert name in out
    assert (run / "samples" / "audit-test.png").is_file()
    assert "one has no standard error" in refused(capfd, "audit", f"run={run}", "samples=1")
    assert "the test split has 225" in refused(capfd, "audit", f"run={run}", "n=10000")


def test_audit_fails_where_the_likelihood_is_not_real(run, capfd, monkeypatch):
    log_prob = PixelCNN._log_prob
    monkeypatch.setattr(PixelCNN, "_log_prob", lambda self, *args: log_prob(self, *args) / 2)
    words = ["audit", f"run={run}", "n=20", "samples=0", "codecs=false", "out=x.png"]
    assert main(words) == 1
    assert "is not real" in capfd.readouterr().out
    assert Path("x.png").is_file()
