"""Multiruns: one failing job stops no other, and the same command does what is left."""

import contextlib
import os
import signal
import types
from pathlib import Path

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig
from pytorch_lightning.callbacks import Callback

import pixelrnn.training.callbacks as ours
from pixelrnn.cli import train
from pixelrnn.cli.main import main
from pixelrnn.cli.multirun import jobs, plans
from pixelrnn.results import membership, shipped
from pixelrnn.runs import record
from tests.cli.commands import TINY, needed, results, spawn

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
DIES = "+callbacks.dies._target_=pixelrnn.training.callbacks.Dies"


@pytest.fixture
def dies(monkeypatch):
    """A callback that raises in the run of seed 1, as long as `ill` holds anything."""
    ill = {1}

    class Dies(Callback):
        def on_train_epoch_start(self, trainer, module):
            if f"seed={trainer.datamodule.seed}" in {f"seed={seed}" for seed in ill}:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(ours, "Dies", Dies, raising=False)
    return ill


def last_notes():
    return membership.read(max(Path("runs/.sweep").glob("*/*")))


@pytest.mark.long
def test_a_failing_job_stops_no_other_and_is_tried_again(dies, capfd):
    command = [*TINY, "-m", "seed=0,1,2", DIES]
    assert main(command) == 1
    err = capfd.readouterr().err
    assert "multirun: 3 jobs: 2 finished, 1 failed" in err
    assert "No space left on device" in err
    assert len(results()) == 2
    (failed,) = Path("runs").glob("*/failed.json")
    assert record.failure(failed.parent) == "OSError: [Errno 28] No space left on device"
    assert main(["runs"]) == 0
    out = capfd.readouterr().out
    assert "failed" in out
    assert "No space left" in out

    dies.clear()
    before = results()
    assert main(command) == 0
    err = capfd.readouterr().err
    assert "multirun: 3 jobs: 1 finished, 2 skipped" in err.replace("1 resumed", "1 finished")
    assert not failed.exists()
    assert len(results()) == 3
    assert before.items() <= results().items()


@pytest.mark.long
def test_a_refused_job_is_named_and_leaves_no_folder(capfd):
    assert main([*TINY, "-m", "optimizer.lr=0.002,-1"]) == 1
    assert "optimizer: Invalid learning rate: -1" in capfd.readouterr().err
    assert [note.state for note in last_notes()] == ["finished", "failed"]
    assert len(list(Path("runs").glob("digits-*"))) == 1


@pytest.mark.long
def test_each_value_of_many_keys_is_checked_once():
    checked = []
    plan = plans.of(["seed=range(0,400)", "model.layers=1,2,3", "data=digits,mesh"], checked.append)
    assert plan.count == 400 * 3 * 2
    assert plan.fixed == []
    assert len(checked) < 110
    assert {config["model"]["layers"] for config in checked} == {1, 2, 3}
    assert {config["seed"] for config in checked} >= {0, 1, 399}
    assert {config["data"]["_target_"] for config in checked} == {
        "pixelrnn.data.Digits",
        "pixelrnn.data.Mesh",
    }


@pytest.mark.long
def test_the_end_is_a_table_and_nothing_is_hydras(capfd):
    assert main([*TINY, "-m", "seed=0,1", "optimizer.lr=0.002,-1"]) == 1
    out, err = capfd.readouterr()
    assert "launcher" not in err
    assert "generator" not in err
    assert "HYDRA" not in out + err
    assert "#1 :" not in out
    for line in (
        "job 2: optimizer.lr=0.002 seed=1",
        "job 1 failed: optimizer: Invalid learning rate: -1.0",
        "  failed  job 1, seed=0 optimizer.lr=-1: optimizer: Invalid learning rate: -1.0",
    ):
        assert line in err.splitlines()
    heading, _, *rows = err[err.index("job  state") :].splitlines()[:6]
    assert heading.split()[:4] == ["job", "state", "seed", "optimizer.lr"]
    assert [row.split()[:4] for row in rows] == [
        ["0", "finished", "0", "0.002"],
        ["1", "failed", "0", "-1"],
        ["2", "finished", "1", "0.002"],
        ["3", "failed", "1", "-1"],
    ]


@pytest.mark.long
def test_a_multirun_is_found_by_its_name():
    assert main([*TINY, "-m", "seed=0", "sweep_name=mine"]) == 0
    (run,) = Path("runs").glob("digits-*")
    assert membership.sweeps(Path("runs")) == {run.name: {"mine"}}


@pytest.mark.long
def test_sigterm_ends_a_multirun_with_its_report(capfd, monkeypatch):
    def stopped(plan):
        os.kill(os.getpid(), signal.SIGTERM)

    # between jobs the handler is ours; in a job it is that of the training
    monkeypatch.setattr(jobs, "_default_sigterm", contextlib.nullcontext)
    monkeypatch.setattr(train, "show", stopped)
    assert main([*TINY, "-m", "seed=0,1,2"]) == 143
    err = capfd.readouterr().err
    assert "multirun: 1 jobs: 1 killed, 2 not started" in err
    assert "interrupted by SIGTERM" in err
    assert jobs.AGAIN in err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.long
def test_sigterm_in_a_job_is_the_trainings(monkeypatch):
    seen = []
    monkeypatch.setattr(train, "show", lambda plan: seen.append(signal.getsignal(signal.SIGTERM)))
    assert main([*TINY, "-m", "seed=0,1"]) == 0
    assert seen == [signal.SIG_DFL, signal.SIG_DFL]


def test_a_single_run_that_fails_says_so(dies, capfd):
    assert main([*TINY, "seed=1", DIES]) == 2
    assert "No space left on device" in capfd.readouterr().err
    (run,) = Path("runs").glob("digits-*")
    assert (run / "failed.json").is_file()
    dies.clear()
    assert main([*TINY, "seed=1", DIES]) == 0
    assert not (run / "failed.json").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--help"], "data.batch_size=128 "),
        (["--cfg", "job"], "# The first of 2 jobs, which vary in:\n# seed=0,1\n"),
        (["--cfg", "job"], "  batch_size: 128\n"),
        (["--cfg", "job", "--resolve", "--package", "data"], "seed: 0\n"),
        (["--info", "searchpath"], "| main     | file://"),
    ],
)
def test_a_question_about_a_multirun_is_answered(flags, says, capfd):
    assert main([*TINY, "-m", "seed=0,1", *flags]) == 0
    out, err = capfd.readouterr()
    assert says in out
    assert err == ""
    assert not Path("runs").exists()


def test_choices_from_elsewhere_are_choices(tmp_path):
    (tmp_path / "mine/model").mkdir(parents=True)
    (tmp_path / "mine/model/own.yaml").write_text("defaults: [pixelcnn]\nhidden: 3\n")
    words = ["model=own,pixelcnn", f"hydra.searchpath=[file://{tmp_path}/mine]"]
    plan = plans.of(words, train.check)
    assert plan.first.model.hidden == 3
    assert plan.swept == {"model": "own,pixelcnn"}


def test_jobs_work_where_the_command_was_given(tmp_path, monkeypatch):
    """A launcher's workers may start in another folder."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(shipped.conf())):
        words = ["hydra.job.num=0", f"hydra.runtime.cwd={tmp_path}", "label=x"]
        config = hydra.compose("train", words, return_hydra_config=True)
    monkeypatch.setattr(HydraConfig, "get", lambda: config.hydra)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(config.hydra.sweep, "dir", str(tmp_path / "runs/.sweep/unnamed/now"))
    plan = types.SimpleNamespace(folder=Path("runs/a"))
    assert jobs.recorded(lambda: plan, lambda plan: Path("here").touch()) is None
    assert (tmp_path / "here").is_file()
    notes = membership.read(tmp_path / "runs/.sweep/unnamed/now")
    assert [note.state for note in notes] == ["finished"]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "package"),
    [("local_joblib", "joblib"), ("local_submitit", "submitit"), ("local_ray", "ray")],
)
def test_other_launchers(launcher, package):
    needed(package)
    words = [w for w in TINY if not w.startswith("threads=")]
    command = [*words, "-m", "seed=0,1", "optimizer.lr=0.002,-1", f"hydra/launcher={launcher}"]
    process = spawn(*command)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "4 jobs: 2 finished, 2 failed" in err
    process = spawn(*command)
    _, err = process.communicate(timeout=300)
    assert "4 jobs: 2 skipped, 2 failed" in err
    for path in Path("runs").glob("*/config.yaml"):
        assert record.config(path.parent)["threads"] == 1


def test_a_killed_job_is_reported(tmp_path, capfd):
    """Its note still says "started"."""
    folder = tmp_path / ".sweep/unnamed/now"
    membership.write(folder, membership.Note(job=["a=1"]))
    membership.write(folder, membership.Note(job=["a=2"], number=10, state="finished"))
    assert [note.state for note in membership.read(folder)] == ["killed", "finished"]
    assert jobs._report(folder, count=3) == 1
    err = capfd.readouterr().err
    assert "2 jobs: 1 finished, 1 killed, 1 not started" in err
    assert "killed  job 0, a=1: the same command goes on from here" in err
