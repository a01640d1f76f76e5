"""`sample`, `complete` and `evaluate`: where they write, what they refuse, what Ctrl-C leaves."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import pixelrnn
from pixelrnn.cli import complete, outputs
from pixelrnn.cli.main import main
from pixelrnn.data import Digits
from pixelrnn.generation.sources import for_images
from pixelrnn.models import PixelCNN

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
VERBS = {
    "sample": ["n=3", "threads=1"],
    "complete": ["n=1", "draws=2", "threads=1"],
}


def refused(capfd, argv, code=2):
    assert main(argv) == code
    err = capfd.readouterr().err.strip().splitlines()
    assert len(err) == 1, err
    return err[0]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("out", ["mine.png", "mine.npy", "mine", "new/folder/mine.png", "mine.1"])
def test_an_ending_is_not_doubled(verb, out, run):
    assert main([verb, f"run={run}", *VERBS[verb], f"out={out}"]) == 0
    stem = out.removesuffix(".png").removesuffix(".npy")
    assert {str(path) for path in Path().rglob("mine*")} == {f"{stem}.png", f"{stem}.npy"}
    assert len(np.load(f"{stem}.npy")) == {"sample": 3, "complete": 4}[verb]


def test_completions_of_other_arguments_have_other_names(run):
    for word in ("occlude=all", "split=val", "n=2", "draws=1", "seed=1", "temperature=0.5"):
        given = dict(each.split("=") for each in [*VERBS["complete"], word])
        assert main(["complete", f"run={run}", *(f"{k}={v}" for k, v in given.items())]) == 0
    assert len(list(Path(run).glob("samples/complete-*.npy"))) == 6


def test_seed_and_temperature_are_those_of_the_draws(run):
    model, words = pixelrnn.load_model(run), [f"run={run}", "threads=1", "seed=5"]
    images = torch.from_numpy(Digits().images("val")[:2])
    known = torch.arange(8).expand(8, 8) < 4
    for temperature in (1.0, 0.3):
        more = [*words, f"temperature={temperature}", f"out=t{temperature}"]
        assert main(["sample", *more, "n=3"]) == 0
        drawn = model.sample(3, generator=for_images(5, 3), temperature=temperature)
        assert np.array_equal(np.load(f"t{temperature}.npy"), drawn)
        assert main(["complete", *more, "split=val", "occlude=right", "n=2", "draws=2"]) == 0
        drawn = model.complete(
            images, known, generator=for_images(5, 4), temperature=temperature, draws=2
        )
        rows = np.load(f"t{temperature}.npy").reshape(2, 4, 1, 8, 8)
        assert np.array_equal(rows[:, 1:3], drawn.view(2, 2, 1, 8, 8))
        assert np.array_equal(rows[:, 0], images * known)
    assert not np.array_equal(np.load("t1.0.npy"), np.load("t0.3.npy"))


@pytest.mark.parametrize(
    ("which", "hidden"),
    [
        ("bottom", "......|......|######|######|######"),
        ("right", "...###|...###|...###|...###|...###"),
        ("centre", "......|.####.|.####.|.####.|......"),
        ("all", "######|######|######|######|######"),
    ],
)
def test_what_an_occlusion_hides(which, hidden):
    found = complete.occlusion(which, 5, 6).tolist()
    assert "|".join("".join(".#"[not known] for known in row) for row in found) == hidden


@pytest.mark.parametrize("verb", ["sample", "complete", "evaluate"])
def test_a_checkpoint_does_as_well_as_its_run(verb, run, capfd):
    words = VERBS.get(verb, ["threads=1"])
    assert main([verb, f"run={run}/checkpoints/best.ckpt", *words]) == 0
    shown = capfd.readouterr().out
    if verb == "evaluate":
        metrics = json.loads((run / "results.json").read_text())["metrics"]
        assert f"{metrics['test/bits_per_dim']:.4f}" in shown
    else:
        assert list((run / "samples").glob(f"{verb}-*.npy"))


@pytest.mark.parametrize("verb", ["sample", "complete", "evaluate"])
def test_accelerators_are_named_in_lightnings_words(verb, run, capfd, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("gpu", "cuda", "mps"):
        err = refused(capfd, [verb, f"run={run}", f"accelerator={name}"])
        assert f"accelerator={name}: this machine has none; it has cpu" in err
    assert "accelerator=foo: input should be 'auto'" in refused(
        capfd, [verb, f"run={run}", "accelerator=foo"]
    )
    assert main([verb, f"run={run}", *VERBS.get(verb, ["threads=1"]), "accelerator=auto"]) == 0


@pytest.mark.parametrize("verb", VERBS)
def test_an_output_that_cannot_be_written_is_refused_first(verb, run, capfd):
    Path("file").touch()
    Path("folder").mkdir()
    words = [verb, f"run={run}", *VERBS[verb]]
    assert "file: cannot be written" in refused(capfd, [*words, "out=file/picture"])
    assert "out=folder: is a folder" in refused(capfd, [*words, "out=folder"])
    assert sorted(os.listdir()) == ["file", "folder", run.name]


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disc_is_one_line(verb, run, capfd, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    err = refused(capfd, [verb, f"run={run}", *VERBS[verb], "out=mine"])
    assert err.endswith("mine.npy: cannot be written (No space left on device)")
    assert os.listdir() == [run.name]


def test_more_images_than_the_disc_holds_are_refused(run, capfd):
    err = refused(capfd, ["sample", f"run={run}", "n=1000000000000", "out=new/mine"])
    assert re.search(r"n=1000000000000: \S+ has space for [\d,]+ images; free some", err)
    assert not Path("new").exists()


def test_many_images_go_to_the_file_as_they_are_drawn(run, capfd, monkeypatch):
    """The array has all of them, the picture the first; neither batch nor number changes one."""
    command = ["sample", f"run={run}", "out=few", "seed=3"]
    assert main([*command, "n=5", "batch_size=2"]) == 0
    few = np.load("few.npy")
    monkeypatch.setattr(outputs, "PICTURED", 4)
    command[2] = "out=many"
    assert main([*command, "n=11", "batch_size=3"]) == 0
    assert "11 images: many.png (of the first 4) and .npy" in capfd.readouterr().out
    many = np.load("many.npy")
    assert many.shape == (11, 1, 8, 8)
    assert many.dtype == np.uint8
    assert (many[:5] == few).all()
    assert np.load("many.npy", mmap_mode="r").shape == (11, 1, 8, 8)


def test_a_disc_that_fills_up_keeps_the_images_that_fitted(run, capfd, monkeypatch):
    append = outputs._Stream.append

    def full(self, rows):
        if self.count >= 4:
            self.file.write(rows.tobytes()[:13])
            raise OSError(28, "No space left on device")
        append(self, rows)

    monkeypatch.setattr(outputs._Stream, "append", full)
    assert main(["sample", f"run={run}", "n=9", "batch_size=2", "out=mine"]) == 2
    err = capfd.readouterr().err.strip().splitlines()
    assert err[0] == "broken off: only 4 images: mine.png and .npy"
    assert err[1] == "pixelrnn: mine.npy: cannot be written (No space left on device)"
    assert np.load("mine.npy").shape == (4, 1, 8, 8)
    assert os.path.getsize("mine.npy") == 128 + 4 * 64


def test_ctrl_c_keeps_what_is_finished_and_says_what_is_true(run, capfd, monkeypatch):
    def interrupted(self, source_of, n, *args, batch_size, **kwargs):
        yield torch.zeros(batch_size, 1, 8, 8, dtype=torch.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr(PixelCNN, "walk", interrupted)
    assert main(["sample", f"run={run}", "n=6", "batch_size=2", "out=mine"]) == 130
    err = capfd.readouterr().err
    assert "broken off: only 2 images: mine.png and .npy" in err
    assert "sample was interrupted; the same command begins anew" in err
    assert len(np.load("mine.npy")) == 2


def test_completions_come_in_whole_groups():
    chunks = [torch.arange(5), torch.arange(5, 8), torch.arange(8, 12)]
    groups = [group.tolist() for group in complete._regrouped(iter(chunks), 4)]
    assert groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_the_picture_of_a_growing_sample_is_shown(run):
    assert main(["sample", f"run={run}", "n=2", "grow=true", "threads=1", "out=mine"]) == 0
    assert Path("mine.png").read_bytes()[1:4] == b"PNG"


def test_the_default_place_is_the_folder_of_samples(tmp_path):
    checkpoint = tmp_path / "run/checkpoints/best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    for path in (checkpoint, tmp_path / "run"):
        assert outputs.target(str(path), None, "x") == tmp_path / "run/samples/x"
