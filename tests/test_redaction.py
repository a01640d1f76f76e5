"""No key, token or password reaches a file of a run, or a message."""

import sys
from pathlib import Path

import pytest

from pixelrnn import redaction
from pixelrnn.cli.main import main
from tests.cli.commands import TINY

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("storage=mysql://me:pass@host/db", "storage=mysql://me:***@host/db"),
        (f"a {KEY} b", "a *** b"),
        ("logger.wandb.settings.api_key=abc x=1", "logger.wandb.settings.api_key=*** x=1"),
        ("token= model.layers=2 https://host/x@y", "token= model.layers=2 https://host/x@y"),
        ("a  line\nand another", "a  line\nand another"),
    ],
)
def test_secrets_are_hidden_and_nothing_else_is(monkeypatch, text, hidden):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("SHORT_KEY", "line")
    assert redaction.redacted(text) == hidden


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_a_run_writes_holds_the_key(monkeypatch, capfd):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(sys, "argv", ["pixelrnn", "train", f"x={KEY}", "s=mysql://me:pass1234@h/d"])
    words = [word for word in TINY if not word.startswith("logger")]
    assert main([*words, "folder=run", "evaluate=[val]", "trainer.limit_train_batches=1"]) == 0
    files = [path for path in Path("run").rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path for path in files if "wandb" in str(path)]
    for path in files:
        content = path.read_bytes()
        assert KEY.encode() not in content, path
        assert b"pass1234" not in content, path
    out, err = capfd.readouterr()
    assert KEY not in out + err


@pytest.mark.parametrize(
    "word",
    [
        "+logger.wandb.settings.api_key=abcdefgh",
        "sweep_name=${oc.env:WANDB_API_KEY}",
        "paths.data=https://me:pass1234@host/data",
    ],
)
def test_a_secret_in_the_configuration_is_refused_unseen(monkeypatch, capfd, word):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    words = [one for one in TINY if not one.startswith("logger")]
    assert main([*words, word, "logger.wandb.offline=true"]) == 2
    err = capfd.readouterr().err
    key = word.partition("=")[0].lstrip("+")
    assert "looks like a password or a key" in err
    assert key in err
    assert not any(secret in err for secret in (KEY, "pass1234", "abcdefgh"))
    assert not Path("runs").exists()
