"""The parser of the verbs that are not Hydra's."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from pixelrnn.arguments import Positive, Temperature
from pixelrnn.cli import docstrings, plain_arguments, signatures
from pixelrnn.cli.main import main
from pixelrnn.errors import ConfigError

LIGHT = ["evaluate", "sample", "complete", "compress", "decompress"]


def verb(
    *,
    run: str,
    n: Positive = 64,
    temperature: Temperature = 1.0,
    split: Literal["train", "val"] = "val",
    grow: bool = False,
    out: str | None = None,
    paths: dict[str, str],
) -> dict[str, Any]:
    """Do a thing.

    It takes two lines.

    Args:
        run: run folder,
            or a checkpoint.
        n: number of images.
        out: where to write.

    Raises:
        RunError: never.
    """
    return dict(locals())


def named(*, names: list[str] = [], overrides: dict[str, Any], paths: dict[str, str]):  # noqa: B006
    """Take names and free keys."""
    return names, overrides, paths


def call(*words):
    return plain_arguments.call(verb, ["run=r", *words])


@pytest.mark.parametrize(
    "folder",
    ["lr=0.1,h=3 (a)", "größe", "a: b", "[x]", "${x}", "null", "1", "a'b", "x\\y", "#x", "~"],
)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_text_is_taken_literally_quoted_or_not(folder, quote):
    words = [f"run={quote}{folder}{quote}", f"paths.runs={quote}{folder}{quote}"]
    given = plain_arguments.call(verb, words)
    assert given["run"] == given["paths"]["runs"] == folder


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("n=4.0", 4),
        ("n=4", 4),
        ("temperature=1e-3", 0.001),
        ("temperature=1", 1.0),
        ("grow=true", True),
        ("grow=no", False),
        ("out=null", None),
        ("out=", None),
        ("out=2026", "2026"),
        ("split=train", "train"),
    ],
)
def test_what_is_checked_is_what_is_passed(word, value):
    given = call(word)[word.partition("=")[0]]
    assert given == value
    assert type(given) is type(value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as error:
        call("n=0", "splt=val", "split=test", "grow=[", "temperature=0", "--fast", "paths.run=x")
    for text in (
        "n=0: input should be greater than or equal to 1",
        "splt: no such key; did you mean split?",
        "split=test: input should be 'train' or 'val'",
        "grow=[: input should be a valid boolean",
        "temperature=0: input should be greater than 0: the logits are divided by it",
        "--fast: expected key=value",
        "paths.run: no such key; choose from paths.runs, paths.data, paths.tables",
    ):
        assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match=r"^run: must be given, as run=\.\.\.$"):
        plain_arguments.call(verb, [])


def test_roots_come_from_words_environment_or_default(monkeypatch):
    monkeypatch.setenv("PIXELRNN_RUNS", "from environment")
    assert call()["paths"] == {"runs": "from environment", "data": "data", "tables": ""}
    assert call("paths.runs=mine")["paths"]["runs"] == "mine"
    with pytest.raises(ConfigError, match="run: must be given"):
        plain_arguments.call(verb, ["paths.data=x"])


def test_names_and_free_keys():
    words = ["table2", "data.binarize=dynamic", "table3", "data.path=[a]", "data.n=3"]
    names, overrides, _ = plain_arguments.call(named, words, first="names")
    assert names == ["table2", "table3"]
    assert overrides == {"data.binarize": "dynamic", "data.path": "[a]", "data.n": 3}


def test_a_second_name_is_refused_where_one_is_taken():
    with pytest.raises(ConfigError, match="b: run is given already"):
        plain_arguments.call(verb, ["a", "b"], first="run")


def test_help_has_one_entry_for_each_key(capsys):
    assert plain_arguments.call(verb, ["--help"]) is None
    out = capsys.readouterr().out
    assert out.startswith("usage: pixelrnn verb run=... [key=value ...]\n\nDo a thing.\n\nIt takes")
    entries = [" ".join(line.split()) for line in out.splitlines()]
    for entry in (
        "run=... run folder, or a checkpoint",
        "n=64 number of images (integer >= 1)",
        "split=val (train | val)",
        "grow=false (true | false)",
        "out=null where to write",
        "paths.runs=runs folder of all runs (environment: PIXELRNN_RUNS)",
    ):
        assert entry in entries
    assert "Raises" not in out


@pytest.mark.parametrize("name", LIGHT)
def test_every_key_of_a_verb_is_explained(name, capsys):
    module = __import__(f"pixelrnn.cli.{name}", fromlist=[name])
    function = getattr(module, name)
    assert set(docstrings.arguments(function.__doc__)) == set(
        inspect.signature(function).parameters
    )
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    for key in signatures.keys(function):
        assert f"  {key}=" in out


def test_a_typo_and_help_import_nothing_heavy():
    """What takes seconds to import is left alone until the words are right."""
    script = (
        "import sys, pixelrnn.cli.main as m\n"
        "assert m.main(['--help']) == 0\n"
        f"for verb in {LIGHT!r}:\n"
        "    assert m.main([verb, 'run=x', 'sed=1']) == 2\n"
        "    words = ['in=x.npy', 'out=x'] if 'compress' in verb else []\n"
        "    assert m.main([verb, 'run=nowhere', *words]) == 2\n"
        "    assert m.main([verb, '--help']) == 0\n"
        "assert m.main(['trian']) == 2\n"
        "assert m.main(['data', 'digts']) == 2\n"
        "assert m.main(['data', 'digits', 'data.binry=true']) == 2\n"
        "assert m.main(['runs', 'stat=x']) == 2\n"
        "assert m.main(['table', 'tabel2']) == 2\n"
        "assert m.main(['rnus']) == 2\n"
        "print('loaded', *sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.rpartition("loaded")[2].split())
    assert "pixelrnn.cli.sample" in loaded
    assert not loaded & {"torch", "pytorch_lightning", "hydra", "wandb", "sklearn"}
    assert run.stderr.count("did you mean seed?") == 2
    assert run.stderr.count("nowhere: no such run folder") == len(LIGHT)
    assert Path("runs").exists() is False
