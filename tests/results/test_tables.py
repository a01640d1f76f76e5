"""The paper's numbers, and ours beside them."""

import csv
import io
import json
import re
import resource
import subprocess
import sys

import pytest

from pixelrnn.cli.main import main
from pixelrnn.errors import ConfigError
from pixelrnn.results import collect, plots, rows, tables
from pixelrnn.results.formats.cells import HEADER, cells, left_out
from pixelrnn.results.formats.csv_lines import csv_lines
from pixelrnn.results.formats.latex import latex
from pixelrnn.results.formats.markdown import markdown
from tests.results.runs import write

CATALOGUE = rows.load()
PUBLISHED = {
    "table2": [3.22, 3.09, 3.07, 3.06],
    "table3": [3.30, 3.20, 3.17, 3.09, 3.08, 3.06],
    "table4": [81.30, 80.54, 80.75, 79.20],
    "table5": [3.14, 3.07, 3.00],
    "table6": [3.86, 3.63],
    "softmax": [3.06],
    "later_cifar10": [3.03, 2.85, 3.00],
    "later_imagenet": [3.83, 3.80, 3.57, 3.52],
}
SPLITS = {"table4": "test", "table5": "test", "later_cifar10": "test"}  # the others: val


def cost(root, name, bits, steps, seconds, split="val", **settings):
    """A finished run that took so many steps and seconds."""
    folder = write(root, name, bits, steps=steps, **settings)
    record = json.loads((folder / "results.json").read_text())
    record["training_seconds"] = seconds
    for metric in ("bits_per_dim", "nll"):
        record["metrics"][f"{split}/{metric}_stderr"] = 0.02
    (folder / "results.json").write_text(json.dumps(record))


def line(table, command_end):
    (found,) = [x for x in table.lines if x.command and x.command.endswith(command_end)]
    return found


def test_the_papers_numbers():
    described = CATALOGUE.tables
    ours = {name for name, spec in described.items() if spec.source.startswith("Our")}
    assert sorted(PUBLISHED) == sorted(set(described) - ours)
    for name in ours:
        assert not any(row.published for row in described[name].rows)
    for name, values in PUBLISHED.items():
        assert [row.published for row in described[name].rows] == values
        assert described[name].split == SPLITS.get(name, "val")
    trained = {name: [row.published_train for row in spec.rows] for name, spec in described.items()}
    assert trained["table5"] == [3.08, 3.00, 2.93]
    assert trained["later_cifar10"] == [2.90, None, 2.93]
    assert trained["later_imagenet"] == [3.77, None, 3.48, None]


def test_rows_with_a_published_value_on_training_images_evaluate_them():
    published = [
        rows.identity(row)
        for spec in CATALOGUE.tables.values()
        for row in spec.rows
        if row.published_train is not None
    ]
    assert len(published) == 9
    for row in published:
        assert CATALOGUE.settings[row]["evaluate"] == ["train", "val", "test"]


def test_seeds_are_averaged_and_other_budgets_left_out(tmp_path):
    for seed, bits in enumerate((3.0, 3.1, 3.2)):
        write(tmp_path, f"a-{seed}", bits, seed=seed, optimizer={"lr": 0.01})
    write(tmp_path, "b-short", 9.0, seed=7, steps=10, trainer={"max_epochs": 1})
    write(tmp_path, "c-other", 8.0, model__hidden=16)
    write(tmp_path, "d-half", 0, seed=4, state="unfinished")
    write(tmp_path, "e-rate", 7.0, seed=8, optimizer={"lr": 0.1})
    table = tables.fill(CATALOGUE, "table2", "paper", collect.scan(tmp_path))
    whole = line(table, "cifar10_row_lstm")
    assert len(whole.runs) == 3
    assert (whole.others, whole.unfinished) == (2, 1)
    name, paper, ours, difference, seeds, steps, weights, minutes, command = cells(table, whole)
    assert (name, paper) == ("residual, skip", "3.06")
    assert ours == "3.100 ± 0.100"
    assert difference == "+0.040"
    assert (seeds, steps) == ("3", "100")
    assert (weights, minutes) == ("1,234", "1.0")
    assert command == "pixelrnn train experiment=cifar10_row_lstm"
    assert left_out(whole) == "also 2 of another budget or setting"
    missing = line(table, "cifar10_row_lstm_plain")
    assert cells(table, missing)[2] == "not run"


def test_seeds_that_end_early_are_one_row(tmp_path):
    """Early stopping: steps are the median and minutes the mean; a copy of a run adds nothing."""
    for seed, (bits, steps) in enumerate(((3.0, 50), (3.4, 110), (3.2, 110))):
        cost(tmp_path, f"a-{seed}", bits, steps, 60.0 * (1 + seed), seed=seed)
    cost(tmp_path, "copy-2", 3.2, 110, 180.0, seed=2)
    for seed in range(5):
        cost(tmp_path, f"b-{seed}", 2.0, 100, 60.0, seed=seed, trainer={"max_epochs": 1})
    table = tables.fill(CATALOGUE, "table2", "paper", collect.scan(tmp_path))
    found = line(table, "cifar10_row_lstm")
    assert sorted(table.values(found)) == [3.0, 3.2, 3.4]
    assert cells(table, found)[2:8] == ("3.200 ± 0.200", "+0.140", "3", "110", "1,234", "2.0")


def test_scales_do_not_mix(tmp_path):
    """What was computed counts, not the word by which it was asked for."""
    small = {"data": {"_target_": "pixelrnn.data.Patches", "size": 16, "seed": 0}}
    sizes = {"model__hidden": 16, "model__head_width": 64}
    write(tmp_path, "s-1", 5.0, scale_name="small", **sizes, **small)
    write(tmp_path, "s-2", 5.5, seed=1, **sizes, **small)
    write(tmp_path, "s-3", 6.0, seed=2, scale_name="small", model__hidden=16, **small)
    runs = collect.scan(tmp_path)
    assert not any(x.runs for x in tables.fill(CATALOGUE, "table2", "paper", runs).lines)
    table = tables.fill(CATALOGUE, "table2", "small", runs)
    found = line(table, "cifar10_row_lstm scale=small")
    assert table.values(found) == [5.0, 5.5]
    assert cells(table, found)[3] == "-"
    assert "scale=small" in table.caption()


def test_a_run_with_another_setting_of_the_model_or_the_data_fills_nothing(tmp_path):
    changes = (
        {"model__color_conditioning": False},
        {"model__first_kernel_size": 3},
        {"data__val_size": 10},
        {"data__subsample": 2},
        {"model__likelihood": {"_target_": "pixelrnn.likelihood.Other"}},
    )
    for number, change in enumerate(changes):
        write(tmp_path, f"x-{number}", 3.0, seed=number, **change)
    runs = collect.scan(tmp_path)
    assert len(runs) == len(changes)
    for name in ("table2", "table3", "table5"):
        filled = tables.fill(CATALOGUE, name, "paper", runs)
        assert not any(x.runs or x.others for x in filled.lines)


def test_the_place_of_a_published_sets_files_does_not_matter(tmp_path):
    network = {"_target_": "pixelrnn.models.PixelCNN", "hidden": 16, "layers": 7, "head_width": 32}
    data = {"_target_": "pixelrnn.data.FashionMNIST", "binarize": "static", "folder": "/elsewhere"}
    write(tmp_path, "f-0", 3.0, model=network, data=data | {"seed": 0})
    table = tables.fill(CATALOGUE, "table4", "fashion", collect.scan(tmp_path))
    found = line(table, "mnist_pixelcnn scale=fashion")
    assert table.values(found) == [3.01]
    assert cells(table, found)[2] == "3.01"  # nats have two decimals


def test_images_of_another_folder_fill_nothing(tmp_path):
    """A row's path refers to paths.data, wherever the run had that."""
    tiles = {"_target_": "pixelrnn.data.Images", "fit": "tiles", "short_side": 384, "size": 32}
    for number, path in enumerate(("mine/photographs", "mine/others", "data/photographs")):
        data = tiles | {"path": path, "seed": 0}
        settings = {"model__hidden": 16, "model__head_width": 64, "paths": {"data": "mine"}}
        write(tmp_path, f"p-{number}", 3.0 + number, data=data, seed=number, **settings)
    table = tables.fill(CATALOGUE, "table5", "photographs", collect.scan(tmp_path))
    assert table.values(line(table, "cifar10_row_lstm scale=photographs")) == [3.01]


def test_markdown_csv_and_latex(tmp_path):
    cost(tmp_path, "a-0", 3.0, 100, 60.0, split="test", seed=0)
    cost(tmp_path, "a-1", 3.1, 90, 75.0, split="test", seed=1)
    table = tables.fill(CATALOGUE, "table5", "paper", collect.scan(tmp_path))
    text = markdown(table)
    widths = {row.count("|") for row in text.splitlines() if row.startswith("|")}
    assert widths == {len(HEADER) + 1}
    assert "| Row LSTM | 3.07 (3.00) | 3.060 ± 0.071 (2.950) | -0.010 | 2 |" in text
    assert "`pixelrnn train experiment=cifar10_pixelcnn`" in text
    rows = list(csv.DictReader(io.StringIO(csv_lines(table))))
    ours = [row for row in rows if row["row"] == "Row LSTM"]
    assert [float(row["ours"]) for row in ours] == pytest.approx([3.01, 3.11])
    assert [row["commit"] for row in ours] == ["abc", "abc"]
    names = ("ours_stderr", "seed", "steps", "seconds", "parameters", "signature")
    assert [[row[name] for name in names] for row in ours] == [
        ["0.02", "0", "100", "60.0", "1234", "0"],
        ["0.02", "1", "90", "75.0", "1234", "1"],
    ]
    text = latex(table)
    assert r"$3.07" not in text
    assert text.count(r"\\") == len(table.lines) + 1
    assert re.search(r"3\.060 \$\\pm\$ 0\.071", text)


def test_a_comparison_of_our_own(tmp_path):
    """No published values: nothing to differ from, and nothing to draw them on."""
    write(tmp_path, "a-0", 3.0, model__layers=3)
    table = tables.fill(CATALOGUE, "masks", "paper", collect.scan(tmp_path))
    found = [line for line in table.lines if line.runs]
    assert [line.name for line in found] == ["colours in order, first kernel 7"]
    assert cells(table, found[0])[1:4] == ("", "3.000", "-")
    assert "| colours in order, first kernel 7 |  | 3.000 | - |" in markdown(table)
    plots.table_plot(table, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(ConfigError, match="equal_time: only at scale=small"):
        tables.fill(CATALOGUE, "equal_time", "paper", [])


def test_no_such_table():
    with pytest.raises(ConfigError, match="tabel2: no such table; did you mean table2"):
        tables.fill(CATALOGUE, "tabel2", "paper", [])


def test_the_verb_writes_all_files(tmp_path, capsys):
    write(tmp_path / "runs", "a-0", 3.0)
    assert main(["table", "table2"]) == 0
    out = capsys.readouterr().out
    assert "not run" in out
    assert "pixelrnn train experiment=cifar10_row_lstm_plain" in out
    names = {path.name for path in (tmp_path / "runs" / "tables").iterdir()}
    stems = {"table2.md", "table2.csv", "table2.tex", "table2.png", "table2-curves.png"}
    assert names == stems


@pytest.mark.parametrize("out", ["a-file", "a-file/below", "/dev/full", "/proc/none"])
def test_what_cannot_be_written_is_one_line_below_the_table(tmp_path, capsys, out):
    (tmp_path / "a-file").touch()
    assert main(["table", "table2", f"out={out}"]) == 2
    shown = capsys.readouterr()
    assert "residual, skip" in shown.out
    (only,) = shown.err.strip().splitlines()
    assert f"{out}: cannot be written (" in only
    assert "out=..." in only


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["table"], "name: must be given"),
        (["table", "table9"], "table9: no such table"),
        (["table", "table2", "scale=tiny"], "table2: only at scale=paper, scale=small"),
        (["runs", "n=0"], "n=0: input should be greater than or equal to 1"),
        (["runs", "bye=val/nll"], "bye: no such key; did you mean by"),
        (["runs", "table2"], "table2: expected key=value"),
        (["dashboard"], "sweep: must be given"),
        (["dashboard", "sweep=table2"], "entity: whose workspace?"),
    ],
    ids=" ".join,
)
def test_wrong_words(words, says, capsys, monkeypatch):
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    assert main(words) == 2
    (only,) = capsys.readouterr().err.strip().splitlines()
    assert says in only


def processor_seconds():
    """Of the processes that ended; unlike a clock's, other work on the machine adds nothing."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.long
def test_thousand_runs_in_seconds_without_torch(tmp_path):
    for number in range(1000):
        folder = write(tmp_path / "runs", f"run-{number:04d}", 3 + number / 1e4, seed=number)
        record = json.loads((folder / "results.json").read_text())
        record["config"]["callbacks"] = {f"c{i}": {"a": 1, "b": [1, 2]} for i in range(12)}
        (folder / "results.json").write_text(json.dumps(record, indent=2))
    code = (
        "import sys; from pixelrnn.cli.main import main; rc = main(sys.argv[1:]);"
        "bad = {'torch', 'pytorch_lightning', 'hydra', 'wandb'} & set(sys.modules);"
        "sys.exit(f'{rc} {bad}' if rc or bad else 0)"
    )
    for words in (["table", "table2", "plots=false"], ["runs", "n=5"]):
        before = processor_seconds()
        run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True)
        assert run.returncode == 0, run.stderr
        assert processor_seconds() - before < 2
    assert b"1000" in (tmp_path / "runs" / "tables" / "table2.md").read_bytes()
