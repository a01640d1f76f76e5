"""How a run begins: `resume` says whether it may go on, `init_from` gives its first weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from pixelrnn.errors import ConfigError, RunError
from pixelrnn.training import load, preparation, run
from tests.training.test_run import ADAM, config, only_run, tree

pytestmark = pytest.mark.filterwarnings("ignore")
STILL = ADAM | {"lr": 0.0, "weight_decay": 0.0}
"""An optimiser that leaves the weights where they are."""


class Broken(Exception):
    """Ends a run after its training and before its record."""


@pytest.fixture
def half_done(monkeypatch):
    """Trains a configuration and breaks off before the evaluation."""

    def of(given):
        def fail(*_, **__):
            raise Broken

        with monkeypatch.context() as patch:
            patch.setattr(run, "evaluate_splits", fail)
            with pytest.raises(Broken):
                run.train(given)
        return preparation.prepare(given | {"resume": "auto"}).folder

    return of


def weights(path):
    return load.load_model(path).state_dict()


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_must_refuses_to_begin_and_never_to_go_on(half_done):
    with pytest.raises(RunError, match=r"^resume=must: runs/digits-tiny-\w+: there is no such fol"):
        run.train(config(resume="must"))
    assert not tree()
    folder = half_done(config(resume="never"))
    before = tree()
    with pytest.raises(RunError, match=r"^resume=never: runs/digits-tiny-\w+: holds a half-done r"):
        run.train(config(resume="never"))
    assert tree() == before
    results = run.train(config(resume="must"))
    assert only_run() == folder
    assert "resume" not in results["config"]
    for resume in ("auto", "must", "never"):  # a finished run is reported
        assert run.train(config(resume=resume)) == json.loads(json.dumps(results))


def test_more_epochs_of_a_finished_run_are_told_of_it(capfd):
    run.train(config(trainer__max_epochs=2))
    (longer,) = Path("runs").iterdir()
    run.train(config(trainer__max_epochs=1))
    assert "begins at step 0" not in capfd.readouterr().err  # a shorter one is no continuation
    run.train(config(trainer__max_epochs=1, seed=1))
    assert "begins at step 0" not in capfd.readouterr().err  # nor is one of another seed
    run.train(config(trainer__max_epochs=3))
    (line,) = (line for line in capfd.readouterr().err.splitlines() if "begins at step 0" in line)
    assert f"with trainer.max_epochs=2 is at {longer}; init_from={longer} would start" in line


def test_a_shorter_run_of_an_earlier_version_is_told_of_beside_a_damaged_one(capfd):
    run.train(config())
    (shorter,) = Path("runs").iterdir()
    path = shorter / "results.json"
    results = json.loads(path.read_text())
    del results["config"]["callbacks"]["checkpoints"]
    results["config"]["callbacks"]["checkpoint"] = {
        "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
        "dirpath": f"{shorter}/checkpoints",
    }
    path.write_text(json.dumps(results))
    damaged = shorter.with_name("digits-tiny-damaged0")
    damaged.mkdir()
    (damaged / "results.json").write_text("[" * 100_000)
    run.train(config(trainer__max_epochs=2))
    assert f"is at {shorter}; init_from={shorter} would start" in capfd.readouterr().err


def test_any_file_with_the_same_weights_begins_the_same_run():
    given = config()
    run.train(given)
    source = only_run()
    start = weights(source)
    sources = (source, source / "checkpoints" / "best.ckpt")
    plans = [
        preparation.prepare(config(optimizer=STILL, init_from=str(one), seed=1)) for one in sources
    ]
    assert len({plan.folder for plan in plans} | {preparation.prepare(config(seed=1)).folder}) == 2
    results = run.carry_out(plans[0])
    assert_equal(weights(plans[0].folder), start)
    assert results["config"]["init_from"] == str(source)
    assert results["config"]["init_weights"] == plans[1].config["init_weights"]
    assert results["steps"] == 2
    changed = {name: value + 1 for name, value in start.items()}
    other = Path(shutil.copytree(source, "other")) / "checkpoints" / "best.ckpt"
    torch.save(torch.load(other) | {"state_dict": prefixed(changed)}, other)
    other.with_name("best.ckpt.sha256").unlink()
    assert preparation.prepare(
        config(optimizer=STILL, init_from=str(other), seed=1)
    ).folder not in [plan.folder for plan in plans]


def prefixed(state):
    return {f"model.{name}": value for name, value in state.items()}


def test_another_model_is_refused_with_the_argument_that_differs():
    run.train(config())
    source, before = only_run(), tree()
    with pytest.raises(ConfigError, match=r"^init_from=.*: holds another model: hidden is 4 there"):
        run.train(config(init_from=str(source), model__hidden=6))
    with pytest.raises(RunError, match=r"^init_from=runs/none: is not there, and no run has begun"):
        run.train(config(init_from="runs/none"))
    assert tree() == before


def test_a_run_that_has_begun_needs_its_source_no_more(half_done):
    run.train(config())
    source = only_run()
    given = config(init_from=str(source), seed=1)
    folder = half_done(given)
    shutil.rmtree(source)
    assert preparation.prepare(given).folder == folder
    with pytest.raises(RunError, match="is not there, and no run has begun from it"):
        preparation.prepare(given | {"seed": 2})
    run.train(given | {"resume": "must"})
    stored = json.loads((folder / "results.json").read_text())["config"]
    assert preparation.prepare_again(stored).record is not None
    before = tree()
    with pytest.raises(RunError, match="no such run"):  # anew, it would need it
        run.carry_out(
            preparation.prepare_again(json.loads(json.dumps(stored).replace(str(folder), "new")))
        )
    assert tree() == before


def test_weights_that_changed_do_not_pass_for_those_that_a_run_began_with():
    run.train(config())
    source = only_run()
    stored = run.train(config(init_from=str(source), seed=1))["config"]
    best = source / "checkpoints" / "best.ckpt"
    changed = {name: value + 1 for name, value in weights(source).items()}
    torch.save(torch.load(best) | {"state_dict": prefixed(changed)}, best)
    best.with_name("best.ckpt.sha256").unlink()
    again = json.loads(json.dumps(stored).replace(stored["folder"], "new"))
    with pytest.raises(RunError, match="its weights have changed since this run was named"):
        run.carry_out(preparation.prepare_again(again))
    assert not Path("new").exists()
