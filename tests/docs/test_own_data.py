"""The commands and files of docs/own-data.md work as they are printed there."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from pixelrnn.cli.main import main
from pixelrnn.data import Images
from tests.cli.commands import QUIET
from tests.data import real_files

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
TEXT = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
PHOTOS, CODES, OWN = (
    [shlex.split(line.removeprefix("$ pixelrnn ")) for line in text.splitlines()]
    for kind, text in BLOCKS
    if kind == "console"
)
SMALL = [*QUIET, "model.hidden=4", "model.layers=1", "model.head_width=4", "trainer.max_epochs=1"]


def run(words, *more):
    assert main([*words, *(more if words[0] == "train" else [])]) == 0


def _from_files_to_samples(count, size, capfd, *more):
    real_files.make(Path("photos"), count)
    assert len(PHOTOS) == 4
    for words in PHOTOS:
        words = [word.replace("data.size=16", f"data.size={size}") for word in words]
        images = words[:2] == ["data", "images"] or "data=images" in words
        if images:
            assert main(words) == 2
            err = capfd.readouterr().err
            assert f"photos: 2 of {count:,} files cannot be used: " in err
            for name, kind in real_files.BROKEN.items():
                assert f"1 {kind}" in err
                assert f"({name})" in err
        run([*words, *(["data.skip_bad=true"] if images else [])], *more)
    assert np.load("samples.npy").shape == (36, 3, size, size)
    assert np.load("completed.npy").shape == (36, 3, size, size)


def test_from_photographs_to_samples(capfd):
    _from_files_to_samples(90, 8, capfd, *SMALL)


def test_from_codes_to_samples(capfd):
    np.save("codes.npy", np.random.default_rng(0).integers(512, size=(60, 4, 4)))
    for words in CODES:
        run(words, *SMALL, "model.first_kernel_size=3", "threads=1")
    assert "each alone costs" in capfd.readouterr().out
    codes = np.load("new_codes.npy")
    assert (codes.dtype, codes.shape) == (np.uint16, (64, 1, 4, 4))


@pytest.mark.slow
def test_a_thousand_mixed_files_become_samples(capfd):
    size = ["model.hidden=16", "model.layers=2", "model.head_width=32", "trainer.max_epochs=1"]
    _from_files_to_samples(1000, 16, capfd, *size, "threads=1", "logger=csv")
    module = Images(path="photos", size=16, skip_bad=True)
    module.setup()
    about = module.image_set.store.about()
    counts = [len(module.images(split)) for split in module.splits]
    assert sum(counts) + sum(about["left_out"].values()) == 998
    assert counts[0] > 700
    assert min(counts) > 50


def test_every_key_of_the_set_is_explained_there():
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", TEXT, re.M))))
    keys = {"size", "fit", "short_side", "filter", "colors", "background", "levels", "binarize"}
    assert told == keys | {"val", "test", "classes"}
    for key in ("path", "layout", "skip_bad"):
        assert f"`data.{key}" in TEXT


@pytest.mark.long
def test_a_set_in_a_file_of_ones_own(tmp_path, monkeypatch, capfd):
    """Also in multiruns, with --config-dir and with Hydra's own key."""
    for _, text in BLOCKS:
        if match := re.match(r"# (\S+\.(?:yaml|py))$", text, re.M):
            Path(match[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(match[1]).write_text(text)
    Path("signs").mkdir()
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        lines = ["".join(random.choice([".", "#"], 5)) for _ in range(100)]
        Path(f"signs/{split}.text").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    assert len(OWN) == 4
    for words in OWN[:3]:
        run(words, *SMALL)
    finished = {path.stat().st_mtime_ns for path in Path("runs").glob("signs-*/results.json")}
    assert len(finished) == 2  # one is the run before
    capfd.readouterr()
    run(OWN[3], *SMALL)
    again = {path.stat().st_mtime_ns for path in Path("runs").glob("signs-*/results.json")}
    assert again == finished
    sys.modules.pop("my_signs")
