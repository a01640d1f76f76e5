"""A row of a table is written once, by the package or by a user."""

import hydra
import pytest
import yaml

from pixelrnn.cli.main import main
from pixelrnn.errors import ConfigError
from pixelrnn.results import collect, hydra_groups, rows, shipped
from tests.results.runs import write

OWN = {
    "title": "Width",
    "source": "Ours",
    "split": "val",
    "metric": "bits_per_dim",
    "unit": "bits/dim",
    "settings": {"data": "cifar10", "model": "row_lstm", "model.layers": 12},
    "rows": [
        {"name": "narrow", "id": "narrow", "settings": {"model.hidden": 8}, "published": 5.0},
        {"name": "wide", "id": "wide", "settings": {"model.hidden": 9}},
        {"name": "the paper's", "like": "cifar10_row_lstm"},
        {"name": "shallow", "id": "shallow", "like": "wide", "settings": {"model.layers": 1}},
    ],
}


def own(folder, name="own", **changes):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(OWN | changes))
    return folder


@pytest.fixture
def composed():
    """Composes with the tables of a folder; the package's own are put back afterwards."""

    def compose(folder, *words):
        hydra_groups.register([f"paths.tables={folder}", *words])
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(shipped.conf())):
            return hydra.compose("train", ["label=x", *words], return_hydra_config=True)

    yield compose
    hydra_groups.register()


def test_a_users_row_is_an_experiment_and_its_table_a_sweep(tmp_path, composed):
    folder = own(tmp_path / "my")
    config = composed(folder, "experiment=shallow")
    assert (config.model.layers, config.model.hidden) == (1, 9)
    assert config.model._target_ == "pixelrnn.models.RowLSTM"
    config = composed(folder, "sweep=own")
    swept = "narrow, wide, cifar10_row_lstm, shallow"
    assert config.hydra.sweeper.params == {"experiment": swept}
    assert composed(folder, "experiment=cifar10_row_lstm").model.hidden == 128


def test_another_folder_of_tables_takes_the_place_of_the_last(tmp_path, composed):
    composed(own(tmp_path / "my"), "experiment=narrow")
    with pytest.raises(hydra.errors.MissingConfigException, match="narrow"):
        composed("null", "experiment=narrow")


@pytest.mark.parametrize("how", ["file", "key", "environment"])
def test_a_users_table_is_filled_like_the_papers(tmp_path, capsys, monkeypatch, how):
    folder = own(tmp_path / "my")
    sizes = {"model__hidden": 8, "model__head_width": None}
    write(tmp_path / "runs", "a-0", 4.5, **sizes)
    words = ["own"]
    if how == "file":
        words = ["my/own.yaml"]
    elif how == "key":
        words.append("paths.tables=my")
    else:
        monkeypatch.setenv("PIXELRNN_TABLES", str(folder))
    assert main(["table", *words, "plots=false"]) == 0
    out = capsys.readouterr().out
    (narrow,) = [text for text in out.splitlines() if text.startswith("narrow")]
    assert narrow.split()[1:4] == ["5.00", "4.500", "-0.500"]
    command = "pixelrnn train experiment=wide"
    assert (command if how == "environment" else f"{command} paths.tables=my") in out
    assert (tmp_path / "runs" / "tables" / "own.md").is_file()


def test_the_example_of_the_readme_is_a_table(tmp_path, composed, capsys):
    readme = (shipped.tables().parent / "README.md").read_text()
    text = readme.partition("```yaml\n")[2].partition("```")[0]
    folder = tmp_path / "my" / "tables"
    folder.mkdir(parents=True)
    (folder / "width.yaml").write_text(text)
    assert "# my/tables/width.yaml" in text
    config = composed(folder, "experiment=width_16_deep")
    assert (config.model.hidden, config.model.layers) == (16, 4)
    composed(folder, "sweep=width")
    for words in (["width", "paths.tables=my/tables"], ["my/tables/width.yaml"]):
        command = " ".join(["pixelrnn table", *words])
        assert command in readme
        assert main(["table", *words, "plots=false"]) == 0
        assert "pixelrnn train experiment=width_8 paths.tables=my/tables" in capsys.readouterr().out


def test_several_tables_are_shown_in_turn(capsys):
    assert main(["table", "table2", "table3", "plots=false"]) == 0
    out = capsys.readouterr().out
    assert out.index("Table 2. ") < out.index("Table 3. ")


ROW = OWN["rows"][0]
DAMAGED = {
    "rows: [": "not readable",
    "": "the file: input should be a valid dict",
    "[]": "the file: input should be a valid dict",
    "colours": "the file: input should be a valid dict",
}
WRONG = [
    (
        {"rows": [ROW | {"settings": [1]}]},
        r"own.yaml: rows.0.settings: input should be a valid dic",
    ),
    ({"metric": "nats"}, r"own.yaml: metric: input should be 'bits_per_dim' or 'nll'"),
    ({"tilte": "x"}, r"own.yaml: tilte: extra inputs are not permitted"),
    ({"rows": [{"name": "x"}]}, r"own.yaml: rows.0: a row has an id, or is `like` another row"),
    ({"rows": [ROW | {"published": "x"}]}, r"own.yaml: rows.0.published: input should be a valid"),
    ({"rows": [ROW | {"id": "a/b"}]}, r"own.yaml: rows.0.id: "),
    ({"rows": [ROW, ROW]}, r"own.yaml: the id narrow is taken in .*own.yaml; say `like: narrow`"),
    ({"rows": [ROW | {"id": "cifar10_pixelcnn"}]}, r"the id cifar10_pixelcnn is taken in .*table5"),
    ({"rows": [{"name": "x", "like": "cifar10_rowlstm"}]}, "no such row; did you mean cifar10_row"),
    (
        {"rows": [ROW | {"like": "wide"}, ROW | {"id": "wide", "like": "narrow"}]},
        "in a circle: narrow, wide, narrow",
    ),
    ({"settings": {"benchmark": "cifar"}}, "benchmark: cifar: no such benchmark; did you mean cif"),
    ({"settings": {"model": {"layers": 1}}}, "model: .*: must be the name of a choice"),
]


PAPER = {"data": "digits"}
SCALES = [
    ({}, "benchmarks.yaml: mine.paper: field required"),
    ({"paper": PAPER, "Tiny": {}}, "mine: scale Tiny: its name must have small letters"),
    ({"paper": PAPER, "tiny": {"data.size": 8}}, "mine: scale tiny: data: must be given"),
    ({"paper": PAPER, "tiny": 3}, "mine.tiny: input should be a valid dict"),
    (
        {"paper": PAPER, "tiny": PAPER | {"optimizer": "sgd"}},
        "mine: scale tiny: optimizer: of the groups, only data is chosen here",
    ),
]


@pytest.mark.parametrize(("benchmark", "says"), SCALES, ids=range(len(SCALES)))
def test_a_wrong_benchmark_is_refused_with_its_file_and_key(tmp_path, benchmark, says):
    folder = own(tmp_path / "my")
    (folder / "benchmarks.yaml").write_text(yaml.safe_dump({"mine": benchmark}))
    with pytest.raises(ConfigError, match=says):
        rows.load(folder)


def test_a_benchmark_of_ones_own_has_scales_of_ones_own(tmp_path):
    settings = {"benchmark": "mine", "model": "pixelcnn"}
    folder = own(tmp_path / "my", settings=settings, rows=[ROW])
    tiny = {"data": "mesh", "model.layers": 1}
    text = yaml.safe_dump({"mine": {"paper": PAPER, "tiny": tiny}})
    (folder / "benchmarks.yaml").write_text(text)
    catalogue = rows.load(folder)
    assert catalogue.scales(catalogue.table("own")) == ["paper", "tiny"]
    assert hydra_groups.nodes(catalogue)["scale", "tiny"]["scale_name"] == "tiny"


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_table_is_refused_in_one_line(tmp_path, capsys, text):
    (own(tmp_path / "my") / "own.yaml").write_text(text)
    assert main(["table", "my/own.yaml"]) == 2
    (only,) = capsys.readouterr().err.strip().splitlines()
    assert "own.yaml: " in only
    assert DAMAGED[text] in only


@pytest.mark.parametrize(("changes", "says"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_table_is_refused_with_its_file_and_key(tmp_path, changes, says):
    with pytest.raises(ConfigError, match=says):
        hydra_groups.nodes(rows.load(own(tmp_path / "my", **changes)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["table", "my/own.yaml", "scale=small"], "own: only at scale=paper"),
        (["table", "my/gone.yaml"], "my/gone.yaml: no such file"),
        (["table", "own", "paths.tables=gone"], "paths.tables=gone: no such folder"),
        (["table", "ovn", "paths.tables=my"], "ovn: no such table; did you mean own"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, capsys, words, says):
    own(tmp_path / "my")
    assert main(words) == 2
    (only,) = capsys.readouterr().err.strip().splitlines()
    assert says in only


def test_a_users_own_groups_beside_the_tables_count(tmp_path):
    folder = own(tmp_path / "my", settings={"data": "digits", "model": "mine"})
    (tmp_path / "model").mkdir()
    catalogue = rows.load(folder)
    table = catalogue.table("own")
    with pytest.raises(ConfigError, match=r"model/mine\.yaml: No such file"):
        catalogue.expected(table, table.rows[0], "paper")
    (tmp_path / "model" / "mine.yaml").write_text("{_target_: mine.Model, hidden: 3, depth: 4}")
    wanted = catalogue.expected(table, table.rows[0], "paper")
    mine = {"_target_": "mine.Model", "hidden": 8, "depth": 4}
    data = {"_target_": "pixelrnn.data.Digits", "binary": False}
    assert wanted.matches({"model": mine, "data": data})
    for key, value in {"_target_": "mine.Other", "hidden": 3, "depth": 5}.items():
        assert not wanted.matches({"model": mine | {key: value}, "data": data})


def test_a_key_of_a_users_own_model_is_compared_whatever_its_name(tmp_path):
    """`kernel` of one of our models chooses an implementation; here it is a size."""
    settings = {"data": "digits", "model": "mine", "model.kernel": 3}
    folder = own(tmp_path / "my", settings=settings, rows=[{"name": "net", "id": "net"}])
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("{_target_: mine.Net, kernel: 5, dropout: 0.0}")
    catalogue = rows.load(folder)
    table = catalogue.table("own")
    wanted = catalogue.expected(table, table.rows[0], "paper")
    net = {"_target_": "mine.Net", "kernel": 3, "dropout": 0.0}
    data = {"_target_": "pixelrnn.data.Digits", "binary": False}
    assert wanted.matches({"model": net, "data": data})
    for change in ({"kernel": 5}, {"dropout": 0.5}):
        assert not wanted.matches({"model": net | change, "data": data})


def test_a_row_with_labels_is_filled_by_runs_with_labels_and_the_other_by_the_rest(tmp_path):
    conditional = {"name": "given", "id": "given", "settings": {"model.classes": "data"}}
    plain = {"name": "plain", "id": "plain"}
    settings = {"data": "digits", "model": "pixelcnn"}
    folder = own(tmp_path / "my", settings=settings, rows=[conditional, plain])
    catalogue = rows.load(folder)
    table = catalogue.table("own")
    given, without = (catalogue.expected(table, row, "paper") for row in table.rows)
    composed = {"model": {"_target_": "pixelrnn.models.PixelCNN"}}
    composed["data"] = {"_target_": "pixelrnn.data.Digits", "binary": False}
    for classes, of in ((10, given), (None, without), ("older", without)):
        model = composed["model"] | ({} if classes == "older" else {"classes": classes})
        assert of.matches(composed | {"model": model})
        other = without if of is given else given
        assert not other.matches(composed | {"model": model})


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_a_run_from_before_first_gate_fills_the_row_with_its_gate(tmp_path, state):
    gates = {"default": {}, "squashed": {"model.first_gate": "squashed"}}
    gates["linear"] = {"model.first_gate": "linear"}
    lines = [{"name": gate, "id": gate, "settings": gates[gate]} for gate in gates]
    settings = {"data": "digits", "model": "gated_pixelcnn"}
    catalogue = rows.load(own(tmp_path / "my", settings=settings, rows=lines))
    table = catalogue.table("own")
    wanted = [catalogue.expected(table, row, "paper") for row in table.rows]
    data = {"_target_": "pixelrnn.data.Digits", "binary": False, "seed": 0}
    for before, fills in ((True, [True, True, False]), (False, [False, False, True])):
        model = {"_target_": "pixelrnn.models.GatedPixelCNN", "squash_first": before}
        folder = write(tmp_path, f"g-{before}", 3.0, state=state, model=model, data=data)
        found = collect.look(folder).config
        assert [row.matches(found) for row in wanted] == fills


def test_the_folder_of_tables_lies_beside_the_users_groups(tmp_path, monkeypatch):
    monkeypatch.delenv("PIXELRNN_TABLES", raising=False)
    assert rows.own_folder(["--config-dir", "my"]) is None
    own(tmp_path / "my")
    (tmp_path / "my" / "tables").mkdir()
    for words in (["--config-dir", "my"], ["-cd=my"], ["hydra.searchpath=['file://my']"]):
        assert str(rows.own_folder(["seed=1", *words])) == "my/tables"
    assert str(rows.own_folder(["--config-dir", "my", "paths.tables='x y'"])) == "x y"
