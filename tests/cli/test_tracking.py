"""W&B: what it is told, read back from its own files; and that it never stops a training."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from pixelrnn.cli.dashboard import SECTIONS
from pixelrnn.cli.main import main
from pixelrnn.runs import record
from pixelrnn.training import tracking
from pixelrnn.training.saving import RunCheckpoints
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
WITH_WANDB = [
    word for word in TINY if not word.startswith(("logger", "callbacks.samples", "callbacks.prog"))
]
WITH_WANDB += ["logger=default", "trainer.log_every_n_steps=2", "sweep_name=mine"]
WITH_WANDB += ["callbacks.samples.n=2", "callbacks.samples.every_n_epochs=1"]


def inspect(file, *flags):
    """What W&B's own reader finds in an offline file."""
    script = "import sys; from wandb.cli.cli import cli; sys.exit(cli(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "leet", "inspect", *flags, "--json", str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return run.stdout


def files(root="runs"):
    return sorted(Path(root).glob("*/wandb/*run-*/*.wandb"))


def test_offline_files_say_what_was_run(monkeypatch):
    finished = []
    finish = wandb.finish
    monkeypatch.setattr(wandb, "finish", lambda **kw: (finished.append(kw), finish(**kw)))
    assert main(WITH_WANDB) == 0
    assert finished == [{"exit_code": 0}]
    assert wandb.run is None
    (file,) = files()
    run = file.parents[2]
    results = record.results(run)

    records = [json.loads(line) for line in inspect(file).splitlines()]
    (about,) = [r["run"] for r in records if r["type"] == "run"]
    assert about["run_id"] == run.name == results["wandb_id"]
    assert about["run_group"] == "mine"
    assert about["job_type"] == "train"
    assert about["tags"] == ["digits", "pixelcnn"]
    history = [r["history"]["item"] for r in records if r["type"] == "history"]
    logged = {key for row in history for key in row}
    assert logged >= {
        *(name for metrics in SECTIONS.values() for name in metrics),
        "val/bits_per_dim_stderr",
        "train/learning_rate",
    }
    validated = [row["val/bits_per_dim"] for row in history if "val/bits_per_dim" in row]
    assert validated[-1] == pytest.approx(results["metrics"]["val/bits_per_dim"], rel=1e-6)
    (picture,) = [row for row in history if "samples._type" in row]
    (name,) = picture["samples.filenames"]
    assert (file.parent / "files" / name).read_bytes()[1:4] == b"PNG"

    whole = json.loads(inspect(file, "--summary"))
    assert whole["state"] == "finished"
    assert results["metrics"].items() <= whole["summary"].items()
    assert whole["config"]["model"]["hidden"] == 4
    assert whole["config"]["signature"] == results["signature"]


def test_one_folder_is_one_run_in_wandb():
    def of(folder, **node):
        config = {
            "folder": folder,
            "signature": "0a1b2c3d",
            "logger": {"wandb": {"id": None} | node},
        }
        return tracking.wandb_id(config)

    assert of("runs/digits-row_lstm-0a1b2c3d") == "digits-row_lstm-0a1b2c3d"
    assert of("again") == "again-0a1b2c3d"
    assert of("lr=0.1,h=3 (a)/") == "lr-0.1-h-3--a--0a1b2c3d"
    assert of("again", id="mine") == "mine"
    assert tracking.wandb_id({"logger": {"wandb": None}}) is None


@pytest.mark.long
def test_a_run_that_fails_is_finished_as_failed(monkeypatch, tmp_path):
    monkeypatch.setattr("pixelrnn.training.sample_grid.write", lambda *args: 1 / 0)
    root = tmp_path / "runs"  # W&B's own process does not follow our change of folder
    assert main([*WITH_WANDB, "-m", "seed=0,1", f"paths.runs={root}"]) == 1
    assert wandb.run is None
    summaries = [json.loads(inspect(file, "--summary")) for file in files(root)]
    assert len({summary["run_id"] for summary in summaries}) == 2
    assert {summary["exit_code"] for summary in summaries} == {1}


def as_a_user(*words, **environment):
    """The command for someone who never logged in, apart from the W&B process of these tests."""
    ours = {name: value for name, value in os.environ.items() if "WANDB" not in name}
    ours |= {"HOME": str(Path.cwd()), "NETRC": str(Path.cwd() / "none")} | environment
    command = [sys.executable, "-m", "pixelrnn.cli.main", *words]
    return subprocess.run(command, env=ours, capture_output=True, text=True, timeout=200)


@pytest.mark.long
@pytest.mark.parametrize("piece", ["whole", "empty", "cut"])
def test_a_resumed_run_leaves_one_whole_history(monkeypatch, piece):
    words = [*WITH_WANDB, "callbacks.samples=null", "trainer.max_epochs=2", "folder=run"]
    start = RunCheckpoints.on_train_batch_start

    def interrupt(self, trainer, *more):
        if trainer.global_step == 15:
            os.kill(os.getpid(), signal.SIGINT)
        start(self, trainer, *more)

    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoints, "on_train_batch_start", interrupt)
        assert main(words) == 130
    (file,) = Path("run").glob("wandb/offline-run-*/*.wandb")
    if piece != "whole":  # as a kill leaves it
        file.write_bytes(file.read_bytes()[: 7 if piece == "empty" else -40])
    assert main(words) == 0
    assert len(list(Path("run").glob("wandb/earlier/*/*.wandb"))) == 1
    (file,) = Path("run").glob("wandb/offline-run-*/*.wandb")
    records = [json.loads(line) for line in inspect(file).splitlines()]
    history = [r["history"]["item"] for r in records if r["type"] == "history"]
    with open("run/metrics.csv", newline="") as curves:
        rows = [
            {name: float(value) for name, value in row.items() if value and name != "step"}
            | {"trainer/global_step": float(row["step"])}
            for row in csv.DictReader(curves)
        ]
    ours = [{key: float(row[key]) for key in row if key[0] != "_"} for row in history]
    assert len(rows) > 15
    assert ours == [pytest.approx(row) for row in rows]
    assert [row["_step"] for row in history] == list(range(len(history)))
    assert json.loads(inspect(file, "--summary"))["state"] == "finished"


def test_wandb_that_dies_in_mid_run_is_one_line_and_training_goes_on(monkeypatch, capfd):
    calls = []

    def log(self, *args, **settings):
        calls.append(args)
        if len(calls) > 3:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(wandb.Run, "log", log)
    assert main([*WITH_WANDB, "folder=run"]) == 0
    assert len(calls) == 4  # it is not asked again, so that nobody waits for it in every step
    err = capfd.readouterr().err
    assert err.count("pixelrnn: W&B failed ([Errno 32] Broken pipe); training goes on") == 1
    assert record.results(Path("run"))["metrics"]


ONLINE = "logger.wandb.offline=false"


@pytest.mark.slow
def test_without_network_training_goes_on_offline():
    key, nowhere = "0" * 40, "http://127.0.0.1:9"
    words = [*WITH_WANDB, ONLINE, "logger.wandb.settings.init_timeout=3"]
    run = as_a_user(*words, WANDB_API_KEY=key, WANDB_BASE_URL=nowhere)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("W&B cannot start online") == 1
    assert len(list(Path("runs").glob("*/results.json"))) == 1


@pytest.mark.slow
def test_without_a_key_training_goes_on_offline():
    run = as_a_user(*WITH_WANDB, ONLINE)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("W&B cannot start online") == 1
    assert len(list(Path("runs").glob("*/results.json"))) == 1
    assert len(list(Path("runs").glob("*/wandb/offline-run-*/*.wandb"))) == 1


def test_a_start_that_fails_online_is_tried_offline(monkeypatch, capsys):
    started = []

    def start(logger, config):
        started.append(logger._offline)
        if not logger._offline:
            raise wandb.errors.CommError("no route\nmore")
        return logger

    monkeypatch.setattr(tracking, "_with_configuration", start)
    node = {"_target_": "pytorch_lightning.loggers.WandbLogger", "save_dir": "r", "offline": False}
    config = {"logger": {"csv": None, "wandb": node}}
    with tracking.session(config, tracking.build(config)) as (logger,):
        assert logger._offline
    assert started == [False, True]
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("pixelrnn: W&B cannot start online (no route); going on offline")


def test_the_dashboard_shows_the_sweep():
    pytest.importorskip("wandb_workspaces", reason="extra missing")
    from pixelrnn.cli.dashboard import workspace

    varied = ["model.residual", "model.skip"]
    model = workspace("table2", "pixelrnn", "someone", varied)._to_model()
    text = model.model_dump_json()
    assert all(name in text for metrics in SECTIONS.values() for name in metrics)
    assert "samples" in text
    assert "test/bits_per_dim" in text
    assert all(key.replace("model.", "model.value.") in text for key in varied)
    view = workspace("table2", "pixelrnn", "someone", [])
    assert "table2" in str(view.runset_settings.filters)
    assert "label" in str(view.runset_settings.groupby)
    view = workspace("table3", "pixelrnn", "someone", [], ["a-1", "shared-2"])
    text = view._to_model().model_dump_json()
    assert "shared-2" in text  # by its id: its group in W&B is that of the sweep that came first


def test_the_dashboard_without_a_key_is_one_line():
    pytest.importorskip("wandb_workspaces", reason="extra missing")
    run = as_a_user("dashboard", "sweep=table2", "entity=someone")
    assert run.returncode == 2
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith("pixelrnn: W&B: ")
    assert "wandb login" in line
