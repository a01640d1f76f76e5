"""Verbs on a class-conditional run: which classes they draw, and what they refuse."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelrnn.cli import class_labels
from pixelrnn.cli.main import main
from pixelrnn.data import Digits, Patches
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.generation.sources import for_images
from pixelrnn.training import load
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run of a tiny class-conditional PixelCNN on the digits; no test changes it."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    words = ["model.classes=data", "optimizer.lr=0.05"]
    assert main([*TINY, *words, f"folder={folder}"]) == 0
    return folder


def refused(capfd, *argv):
    assert main([*argv]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    return line


def test_the_run_knows_its_classes(labelled):
    names = tuple("0123456789")
    assert load.load_model(labelled).class_names == names
    assert json.loads((labelled / "results.json").read_text())["class_names"] == list(names)
    assert (labelled / "samples/final.png").is_file()


@pytest.mark.parametrize(
    ("label", "n", "classes"), [("3", 3, [3]), ("each", 2, range(10)), ("7, 1", 1, [7, 1])]
)
def test_samples_are_of_the_classes_that_are_asked_for(labelled, label, n, classes):
    assert main(["sample", f"run={labelled}", f"label={label}", f"n={n}", "out=x"]) == 0
    labels = np.repeat(classes, n)
    np.testing.assert_array_equal(np.load("x-labels.npy"), labels)
    model = load.load_model(labelled)
    expected = model.sample(len(labels), torch.from_numpy(labels), for_images(0, len(labels)))
    np.testing.assert_array_equal(np.load("x.npy"), expected)


def test_samples_of_a_class_have_a_name_of_their_own(labelled):
    for label in ("each", "3"):
        assert main(["sample", f"run={labelled}", f"label={label}", "n=1"]) == 0
    names = {path.name for path in (labelled / "samples").glob("sample-*.npy")}
    assert {"sample-n1-seed0-t1-label-each.npy", "sample-n1-seed0-t1-label-3.npy"} <= names


def test_a_completion_is_of_the_images_own_class_unless_another_is_given(labelled):
    words = ["complete", f"run={labelled}", "n=3", "threads=1"]
    assert main([*words, "draws=2", "out=own"]) == 0
    assert main([*words, "draws=1", "label=each", "out=each"]) == 0
    own = np.load("own.npy").reshape(3, 4, 1, 8, 8)
    each = np.load("each.npy").reshape(3, 12, 1, 8, 8)
    model, data = load.load_model(labelled), Digits()
    images = torch.from_numpy(data.images("test")[:3])
    known = torch.arange(8)[:, None].expand(8, 8) < 4
    labels = torch.from_numpy(data.labels("test")[:3])
    expected = model.complete(
        images.repeat_interleave(2, 0), known, labels.repeat_interleave(2), for_images(0, 6)
    )
    np.testing.assert_array_equal(own[:, 1:3].reshape(6, 1, 8, 8), expected)
    expected = model.complete(
        images.repeat_interleave(10, 0), known, torch.arange(10).repeat(3), for_images(0, 30)
    )
    np.testing.assert_array_equal(each[:, 1:11].reshape(30, 1, 8, 8), expected)


def test_evaluation_is_given_the_labels_and_classifies(labelled, capfd):
    words = ["evaluate", f"run={labelled}", "threads=1", "batch_size=100"]
    assert main([*words, "classify=true", "prior=uniform"]) == 0
    out = capfd.readouterr().out
    model, data = load.load_model(labelled), Digits()
    images, labels = (torch.from_numpy(part("test")) for part in (data.images, data.labels))
    with torch.no_grad():
        given = model.log_prob(images, labels).mean().item()
        of_class = torch.stack(
            [model.log_prob(images, torch.full_like(labels, k)) for k in range(10)], 1
        )
    accuracy = (of_class.argmax(1) == labels).double().mean().item()
    without = (of_class.logsumexp(1) - np.log(10)).mean().item()
    assert f"{-given:.2f} ± " in out
    assert f"{accuracy:.4f} ± " in out
    assert f"{-without:.2f} ± " in out


def test_a_file_gives_images_and_labels_back(labelled, capfd):
    """What `sample` wrote, with the labels beside it; then in pictures."""
    assert main(["sample", f"run={labelled}", "label=each", "n=4", "out=x"]) == 0
    assert main(["compress", f"run={labelled}", "in=x.npy", "out=x.prnn"]) == 0
    payload, labels, fixed = (
        int(number.replace(",", ""))
        for number in re.findall(r"([\d,]+) bytes", capfd.readouterr().out)
    )
    assert labels == 17  # 40 log2 10 bits
    assert payload + labels + fixed == Path("x.prnn").stat().st_size
    for out in ("back.npy", "back"):
        assert main(["decompress", f"run={labelled}", "in=x.prnn", f"out={out}"]) == 0
        np.testing.assert_array_equal(np.load("back-labels.npy"), np.load("x-labels.npy"))
        Path("back-labels.npy").unlink()
    np.testing.assert_array_equal(np.load("back.npy"), np.load("x.npy"))
    assert main(["compress", f"run={labelled}", "back", "labels=x-labels.npy", "out=y.prnn"]) == 0
    assert Path("y.prnn").read_bytes() == Path("x.prnn").read_bytes()


def test_labels_may_be_one_for_all_or_found_by_the_model(labelled):
    images = Digits().images("test")[:30]
    np.save("images.npy", images)
    found = {}
    for labels in ("7", "likeliest"):
        words = [f"run={labelled}", f"labels={labels}", "out=x.prnn", "verify=false"]
        assert main(["compress", "images.npy", *words]) == 0
        assert main(["decompress", f"run={labelled}", "x.prnn", "out=back.npy"]) == 0
        np.testing.assert_array_equal(np.load("back.npy"), images)
        found[labels] = np.load("back-labels.npy")
    assert (found["7"] == 7).all()
    model = load.load_model(labelled)
    with torch.no_grad():
        of_class = [
            model.log_prob(torch.from_numpy(images), torch.full((30,), label))
            for label in range(10)
        ]
    np.testing.assert_array_equal(found["likeliest"], torch.stack(of_class).argmax(0))


def test_an_audit_shows_what_labels_cost(labelled, capfd):
    words = ["n=30", "samples=10", "codecs=false", "out=x", "threads=1"]
    assert main(["audit", f"run={labelled}", *words]) == 0
    assert re.search(r"^labels .* 13 bytes", capfd.readouterr().out, re.M)


def test_labels_of_files_that_are_missing_or_wrong_are_one_line(labelled, run, capfd):
    np.save("images.npy", Digits().images("test")[:3])
    np.save("many.npy", np.arange(4))
    np.save("large.npy", np.array([1, 2, 10]))
    words = ["compress", f"run={labelled}", "in=images.npy", "out=x.prnn"]
    for labels, says in {
        "": "labels: must be given, since the model is conditioned on 10 classes: an array .npy,",
        "labels=cat": "label=cat: no such class; choose from 0 to 9",
        "labels=many.npy": "labels=many.npy: labels must be int64 of shape (3,) in [0, 10)",
        "labels=large.npy": "in [0, 10), got 10",
    }.items():
        assert says in refused(capfd, *words, *filter(None, [labels]))
    words[1] = f"run={run}"
    for labels in ("3", "likeliest"):
        says = f"labels={labels}: the model has no classes; leave labels out"
        assert says in refused(capfd, *words, f"labels={labels}")
    assert not Path("x.prnn").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sample"], "label: must be given, since the model is conditioned on 10 classes: label="),
        (["sample", "label=12"], "label=12: no such class; choose from 0 to 9"),
        (["sample", "label=0,cat"], "label=cat: no such class"),
        (["sample", "label=each", "n=100000000000"], "has space for"),
        (["complete", "label=-1"], "label=-1: no such class"),
    ],
    ids=" ".join,
)
def test_wrong_classes_are_one_line(labelled, capfd, words, says):
    before = set(Path(labelled, "samples").iterdir())
    assert says in refused(capfd, words[0], f"run={labelled}", *words[1:])
    assert set(Path(labelled, "samples").iterdir()) == before


def test_a_model_without_classes_takes_no_label(run, capfd):
    for words in (["sample", "label=3"], ["complete", "label=each"], ["evaluate", "classify=true"]):
        line = refused(capfd, words[0], f"run={run}", *words[1:])
        assert f"{words[1]}: the model has no classes" in line


@dataclass
class Model:
    """What matters here of a class-conditional model."""

    class_names: tuple[str, ...]
    classes: int


def test_names_come_before_numbers_and_may_hold_commas():
    model = Model(("cat", "dog, wet", "7", "0"), 4)
    assert class_labels.chosen("dog, wet", model) == [1]
    assert class_labels.chosen("cat,7,0,2", model) == [0, 2, 3, 2]
    assert class_labels.chosen("each", model) == [0, 1, 2, 3]
    assert class_labels.chosen("each", Model(("some", "each"), 2)) == [1]
    assert class_labels.chosen("1", Model((), 2)) == [1]
    with pytest.raises(ConfigError, match=r"label=caat: no such class; did you mean cat\?"):
        class_labels.chosen("caat", model)
    with pytest.raises(ConfigError, match="choose from 0 to 3: cat, dog, wet, 7, 0"):
        class_labels.chosen("bird", model)


def test_data_with_other_classes_are_refused():
    names = tuple("0123456789")
    class_labels.check_data(Model(names, 10), Digits())
    class_labels.check_data(Model((), 10), Digits())
    with pytest.raises(ConfigError, match="conditioned on 10 classes, but patches16 has no labels"):
        class_labels.check_data(Model(names, 10), Patches())
    with pytest.raises(ConfigError, match="conditioned on 4 classes, but digits has 10 classes"):
        class_labels.check_data(Model((), 4), Digits())
    swapped = Model(("0", "2", "1", *names[3:]), 10)
    with pytest.raises(RunError, match=r"label 1 of digits stands for 1, but in training .* for 2"):
        class_labels.check_data(swapped, Digits())
