"""`pixelrnn figure`: every kind is drawn from a run, and what cannot be drawn is one line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pixelrnn.cli import docstrings, figure, signatures
from pixelrnn.cli.main import main
from tests.cli.commands import QUIET, TINY
from tests.results.runs import write

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed

SMALL = {
    "completions": ["n=2", "draws=2", "occlude=centre"],
    "curves": [],
    "likelihood": ["n=5", "show=3"],
    "neighbours": ["n=3", "k=2", "show=2", "unseen=4"],
    "receptive_field": ["n=2", "row=6"],
    "softmax": ["n=2", "image=7"],
    "surprise": ["n=2", "first=3"],
}
"""Keys that keep each kind cheap."""
WIDTHS = ["hidden=4", "layers=1", "head_width=4"]


def drawn(kind, run, *words):
    """The picture that the verb wrote."""
    threads = [] if kind == "curves" else ["threads=1"]
    assert main(["figure", kind, f"run={run}", *threads, *SMALL[kind], *words]) == 0
    return Image.open(next(iter((run / "figures").glob(f"{kind}.*"))))


def refused(capfd, *words, code=2):
    assert main(["figure", *words]) == code
    out, err = capfd.readouterr()
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert out == ""
    return lines[0]


@pytest.mark.parametrize("kind", SMALL)
def test_a_kind_is_drawn_into_the_run_folder(kind, run, capfd):
    picture = drawn(kind, run)
    assert picture.format == "PNG"
    assert min(picture.size) > 100
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert capfd.readouterr().out.strip() == str(run / "figures" / f"{kind}.png")


@pytest.mark.parametrize("kind", figure.KINDS)
def test_every_key_of_every_kind_is_explained(kind, capfd):
    verb = figure.figure(kind)
    explained = docstrings.arguments(verb.__doc__)
    assert set(explained) - {"paths"} == set(signatures.parameters(verb))
    assert all(explained.values())
    assert main(["figure", kind, "--help"]) == 0
    out = capfd.readouterr().out
    assert out.startswith(f"usage: pixelrnn figure {kind} ")
    assert all(f"  {key}=" in out for key in signatures.keys(verb))


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_kinds_are_listed(words, capfd):
    assert main(["figure", *words]) == 0
    out = capfd.readouterr().out
    assert all(f"\n  {kind} " in out for kind in figure.KINDS)
    files = (Path(figure.__file__).parent / "figures").glob("[!_]*.py")
    assert sorted(path.stem for path in files) == figure.KINDS


def test_the_style_is_the_background(run):
    assert drawn("surprise", run, "style=dark").convert("L").getpixel((0, 0)) < 40


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_out_names_place_and_form(ending, run):
    out = Path(f"new/mine.{ending}")
    assert main(["figure", "surprise", f"run={run}", "n=1", "threads=1", f"out={out}"]) == 0
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert out.read_bytes().startswith(start)
    assert not (run / "figures").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["surprice", "run=x"], "surprice: no such figure; did you mean surprise?"),
        (["surprise"], "run: must be given, as run=..."),
        (["surprise", "run=nowhere"], "nowhere: no such run folder"),
        (["surprise", "run=x", "spilt=test"], "spilt: no such key; did you mean split?"),
        (["surprise", "run=x", "n=0"], "n=0: input should be greater than or equal to 1"),
        (["surprise", "run=x", "style=grey"], "style=grey: input should be 'light' or 'dark'"),
        (["curves"], "run: must be given, as runs/a runs/b ..., or sweep=..."),
        (["curves", "nowhere"], "nowhere: no such run folder"),
        (["curves", "sweep=mine"], "sweep=mine: no run in runs is of it; there is none"),
        (["softmax", "run=x", "at=[[1,2]]"], "at=[[1, 2]]: must be [[row,column,colour],...]"),
        (["likelihood", "run=x", "images=tests"], "images=tests: input should be 'samples'"),
    ],
)
def test_wrong_words_are_one_line(words, says, capfd):
    assert says in refused(capfd, *words)
    assert os.listdir() == []


def test_what_a_run_cannot_give_is_one_line(run, capfd):
    given = ["surprise", f"run={run}"]
    assert "first=0 n=226: the test split has 225 images" in refused(capfd, *given, "n=226")
    assert "first=225 n=1: the test split has" in refused(capfd, *given, "first=225", "n=1")
    assert "out=a.jpg: must end in .png, .pdf, .svg" in refused(capfd, *given, "out=a.jpg")
    assert "wandb=true: the run was trained without W&B" in refused(capfd, *given, "wandb=true")
    of = f"run={run}"
    assert "image=225: the test split has 225" in refused(capfd, "softmax", of, "image=225")
    err = refused(capfd, "softmax", of, "at=[[0,0,0],[7,8,0]]")
    assert "at=[7, 8, 0]: a sub-pixel is [row,column,colour] below [8,8,1]" in err
    assert "row=8: must be below 8" in refused(capfd, "receptive_field", of, "row=8")
    assert "color=1: must be below 1" in refused(capfd, "receptive_field", of, "color=1")
    Path("file").touch()
    assert "file: cannot be written" in refused(capfd, *given, "out=file/a.png")
    shutil.rmtree(run / "checkpoints")
    (run / "weights.safetensors").unlink()
    assert "no checkpoint" in refused(capfd, *given)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A run of a tiny class-conditional PixelCNN."""
    folder = tmp_path_factory.mktemp("conditional") / "run"
    assert main([*TINY, "model.classes=data", f"folder={folder}"]) == 0
    return folder


def test_classes_have_a_row_each(conditional, capfd, run):
    of = f"run={conditional}"
    assert main(["figure", "classes", of, "n=2", "label=3,0,7", "threads=1", "out=a.svg"]) == 0
    names = re.findall(r"<!-- (\d) -->", Path("a.svg").read_text())
    assert names == ["3", "0", "7"]
    capfd.readouterr()
    assert "label=12: no such class" in refused(capfd, "classes", of, "label=12")
    assert "has no classes; model.classes=data" in refused(capfd, "classes", f"run={run}")
    assert "PixelCNN, has one scale only" in refused(capfd, "scales", f"run={run}")


def test_two_scales_are_drawn_and_measured():
    """Two rows of samples; and what the large network sees of the small image, below it, too."""
    small = [word for word in TINY if not word.startswith("model")]
    model = ["model=multi_scale", "model/small=pixelcnn", "model/large=pixelcnn"]
    model += [f"model.{part}.{key}" for part in ("small", "large") for key in WIDTHS]
    assert main([*small, *model, "folder=two", "evaluate=[test]"]) == 0
    for kind, words in (("scales", ["n=2"]), ("receptive_field", ["n=1", "row=1"])):
        assert main(["figure", kind, "run=two", *words, "threads=1", f"out={kind}.svg"]) == 0
    text = Path("scales.svg").read_text()
    assert "<!-- 4 x 4 -->" in text
    assert "<!-- 8 x 8 -->" in text


@pytest.mark.parametrize("kind", sorted({*SMALL} - {"curves", "receptive_field"}))
def test_a_class_conditional_model_is_given_labels(kind, conditional):
    assert main(["figure", kind, f"run={conditional}", "threads=1", *SMALL[kind], "out=a.png"]) == 0


def test_curves_of_several_runs(run, capfd):
    shutil.copytree(run, "runs/b")
    assert main(["figure", "curves", f"run={run}", "runs/b"]) == 0
    assert capfd.readouterr().out.strip() == "runs/figures/curves.png"
    assert Path("runs/figures/curves.png").is_file()
    assert main(["figure", "curves", "run=runs/b", f"run={run}", "out=two.svg", "x=seconds"]) == 0
    assert "seconds of training" in Path("two.svg").read_text()
    capfd.readouterr()
    err = refused(capfd, "curves", "runs/b", "metric=val/bits_per_dm")
    assert "metric=val/bits_per_dm: no run has such a curve; did you mean" in err
    Path("empty").mkdir()
    assert "empty: not a run folder" in refused(capfd, "curves", "empty")
    os.unlink("runs/b/results.json")
    assert "x=seconds: no run is finished" in refused(capfd, "curves", "runs/b", "x=seconds")
    os.unlink("runs/b/metrics.csv")
    assert "runs/b: no curve is recorded" in refused(capfd, "curves", "runs/b")
    assert main(["runs"]) == 0  # a folder of pictures among the runs is no run
    assert "figures" not in capfd.readouterr().out


def test_curves_of_a_sweep(tmp_path, capfd):
    for number in range(2):
        write(tmp_path / "runs", f"a-{number}", 3.0 + number, seed=number)
    assert main(["figure", "curves", "sweep=table2"]) == 0
    assert capfd.readouterr().out.strip() == "runs/figures/curves-table2.png"
    err = refused(capfd, "curves", "sweep=tabel2")
    assert "sweep=tabel2: no run in runs is of it; did you mean sweep=table2?" in err


def test_a_full_disc_is_one_line_and_leaves_the_earlier_picture(run, capfd, monkeypatch):
    drawn("surprise", run)
    capfd.readouterr()
    before = (run / "figures/surprise.png").read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    err = refused(capfd, "surprise", f"run={run}", "n=1", "threads=1")
    assert err.endswith("surprise.png: cannot be written (No space left on device)")
    assert (run / "figures/surprise.png").read_bytes() == before
    assert len(list((run / "figures").iterdir())) == 1


def test_help_and_typos_import_nothing_heavy():
    script = (
        "import sys, pixelrnn.cli.main as m\n"
        "assert m.main(['figure']) == 0\n"
        f"for kind in {figure.KINDS!r}:\n"
        "    assert m.main(['figure', kind, '--help']) == 0\n"
        "    assert m.main(['figure', kind, 'run=x', 'stile=dark']) == 2\n"
        "print('loaded', *sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.rpartition("loaded")[2].split())
    assert "pixelrnn.cli.figures.surprise" in loaded
    assert not loaded & {"torch", "matplotlib", "pytorch_lightning", "hydra", "wandb"}


@pytest.mark.long
def test_the_picture_goes_to_the_wandb_run(tmp_path):
    """Offline, too: a second file of the same run, which `wandb sync` adds to it."""
    words = [word for word in TINY if word not in QUIET[1:2]]
    assert main([*words, "logger=default", f"folder={tmp_path}/run"]) == 0
    run = (tmp_path / "run").rename(tmp_path / "moved")
    drawn("surprise", run, "wandb=true")
    (added,) = (run / "wandb").glob("offline-run-*/files/media/images/figures/surprise_*.png")
    assert Image.open(added).size == Image.open(run / "figures/surprise.png").size
    files = list((run / "wandb").glob("offline-run-*/*.wandb"))
    wandb_id = json.loads((run / "results.json").read_text())["wandb_id"]
    assert [path.name for path in files] == [f"run-{wandb_id}.wandb"] * 2
