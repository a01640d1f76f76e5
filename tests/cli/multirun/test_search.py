"""A search by Optuna: the same command does what is left, and no number is wrong."""

import time
from pathlib import Path

import pytest
from pytorch_lightning.callbacks import Callback

import pixelrnn.training.callbacks as ours
from pixelrnn.cli import report, train
from pixelrnn.cli.main import main
from pixelrnn.cli.multirun import plans, search
from pixelrnn.training import run
from tests.cli.commands import TINY, kill, results, spawn

optuna = pytest.importorskip("optuna", reason="extra optuna missing")
pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="extra optuna missing")
pytestmark = pytest.mark.filterwarnings("ignore")  # Optuna 2 and what it stands on are old

DIES = "+callbacks.dies._target_=pixelrnn.training.callbacks.Dies"
SEARCH = [*TINY, "-m", "hydra/sweeper=optuna_study", "optimizer.lr=tag(log,interval(0.001,0.1))"]


def planned(*more):
    words = [word for word in SEARCH[1:] if word != "-m"]
    return plans.of([*words, *more], train.check)


def trials():
    names = optuna.study.get_all_study_summaries("sqlite:///runs/optuna.db")
    (name,) = [summary.study_name for summary in names]
    return optuna.load_study(name, "sqlite:///runs/optuna.db").trials


def states(found):
    return [trial.state.name for trial in found]


def values_are_those_of_the_runs(found):
    told = sorted(trial.value for trial in found if trial.state.name == "COMPLETE")
    return told == sorted(metrics["val/bits_per_dim"] for metrics in results().values())


def trial(state, lr, queued=False):
    state = optuna.trial.TrialState[state]
    value = 1.0 if state.name == "COMPLETE" else None
    if queued:
        return optuna.trial.create_trial(state=state, system_attrs={"fixed_params": {"lr": lr}})
    space = {"lr": optuna.distributions.UniformDistribution(0, 10)}
    return optuna.trial.create_trial(
        state=state, value=value, params={"lr": lr}, distributions=space
    )


@pytest.mark.parametrize(
    ("given", "left", "again"),
    [
        ([], 3, []),
        ([("COMPLETE", 1.0)], 2, []),
        ([("COMPLETE", 1.0), ("COMPLETE", 1.0), ("COMPLETE", 2.0), ("COMPLETE", 3.0)], 0, []),
        ([("RUNNING", 1.0), ("FAIL", 2.0)], 3, [1.0, 2.0]),
        ([("FAIL", 1.0), ("FAIL", 1.0)], 3, [1.0]),
        ([("FAIL", 1.0), ("COMPLETE", 1.0), ("FAIL", 2.0)], 2, [2.0]),
        ([("FAIL", 1.0), ("WAITING", 1.0, True)], 3, []),
        ([("FAIL", 1.0, True), ("RUNNING", 2.0, True)], 3, [1.0, 2.0]),
    ],
)
def test_what_is_left_is_what_has_no_value(given, left, again):
    study = optuna.create_study()
    for state in given:
        study.add_trial(trial(*state))
    assert search.Search(study, 3).left() == left
    assert [values["lr"] for values in search.again(study.trials)] == again


@pytest.mark.long
def test_a_failed_trial_is_tried_again_and_nothing_is_done_twice(monkeypatch, capfd):
    ill = [False, True, False]

    class Dies(Callback):
        def on_train_start(self, trainer, module):
            if ill and ill.pop(0):
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(ours, "Dies", Dies, raising=False)
    command = [*SEARCH, DIES, "hydra.sweeper.n_trials=3"]
    assert main(command) == 1
    err = capfd.readouterr().err
    assert "multirun: 3 jobs: 2 finished, 1 failed" in err
    assert "2 trials complete, 1 left" in err
    assert states(trials()) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials()[1].value is None

    assert main(command) == 0
    err = capfd.readouterr().err
    assert "multirun: 1 jobs: 1 finished" in err
    assert "3 trials complete, 0 left" in err
    found = trials()
    assert states(found) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert found[3].params == found[1].params
    assert len(results()) == len(list(Path("runs").glob("digits-*"))) == 3
    assert values_are_those_of_the_runs(found)

    assert main(command) == 0
    err = capfd.readouterr().err
    assert "multirun" not in err
    best = min(trials()[i].value for i in (0, 2, 3))
    assert "3 trials complete, 0 left\n  best: trial " in err
    assert f"{best:.6g}: optimizer.lr=" in err
    assert len(trials()) == 4


@pytest.mark.long
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_a_failed_trial(value, monkeypatch):
    metrics = {"metrics": {"val/bits_per_dim": value}}
    monkeypatch.setattr(run, "carry_out", lambda plan: metrics)
    monkeypatch.setattr(report, "show", lambda *_: None)
    assert main([*SEARCH, "hydra.sweeper.n_trials=2"]) == 1
    assert states(trials()) == ["FAIL", "FAIL"]


def test_one_process_at_a_time(capfd):
    with search.of(planned()) as found:
        assert found.left() == 20
        assert main(SEARCH) == 2
    assert "another process is at it" in capfd.readouterr().err


def test_a_name_is_of_one_search(capfd):
    named = "hydra.sweeper.study_name=mine"
    with search.of(planned(named)):
        pass
    assert main([*SEARCH, named, "seed=1"]) == 2
    assert "hydra.sweeper.study_name=mine: holds another search" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hydra.sweeper.storage=sqlite:///none/there.db", "there.db: cannot be opened"),
        ("hydra.sweeper.storage=nothing", "hydra.sweeper.storage=nothing: cannot be opened"),
        ("hydra.sweeper.direction=up", "hydra.sweeper.direction=up: choose minimize or maximize"),
        ("model=choice(pixelcnn,pixelcn)", "model=pixelcn: no such choice"),
    ],
)
def test_what_cannot_be_searched_is_wrong_input(word, message, capfd):
    assert main([*SEARCH, word]) == 2
    assert message in capfd.readouterr().err
    assert not list(Path(".").glob("runs/digits-*"))


@pytest.mark.slow
def test_a_killed_search_goes_on():
    """The trial that was killed is resumed, not begun with other values."""
    command = [*SEARCH, "hydra.sweeper.n_trials=4", "trainer.max_epochs=8"]
    for finished in (0, 2):
        process = spawn(*command)
        while not (
            len(results()) >= finished
            and len(list(Path("runs").glob("*/checkpoints/last.ckpt"))) > len(results())
        ):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        kill(process)
    assert states(trials()).count("RUNNING") == 1
    process = spawn(*command)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "resumed" in err
    found = trials()
    assert states(found).count("COMPLETE") == 4
    assert states(found).count("FAIL") == 2
    assert search.again(found) == []
    assert len(list(Path("runs").glob("digits-*"))) == 4
    assert values_are_those_of_the_runs(found)
