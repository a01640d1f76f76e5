"""What is imported when: a verb pays for what it uses, and a sweep pays once."""

import ast
import contextlib
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pixelrnn
from pixelrnn import start_up
from pixelrnn.cli import compose, train
from pixelrnn.cli.groups import Groups
from pixelrnn.cli.main import main
from tests.cli.commands import TINY, needed

HEAVY = ("torch", "pytorch_lightning", "wandb", "matplotlib", "sklearn", "scipy")
DRAWS = ("figures/", "results/plots.py", "compression/calibration.py")
"""Where matplotlib may be imported: each of these is imported where something is drawn."""


def test_what_answers_at_once_imports_nothing_that_computes():
    script = (
        "import sys, pixelrnn.cli.main as m\n"
        "commands = [['--help'], ['--version'], ['runs'], ['table', 'table2']]\n"
        "commands += [['--complete', 'pixelrnn', *words] for words in\n"
        "             (['tr'], ['train', 'model='], ['sample', 'n'], ['figure', ''])]\n"
        "commands += [[verb, '--help'] for verb in m.VERBS if verb != 'train']\n"
        "for command in commands:\n"
        "    assert m.main(command) == 0, command\n"
        f"    loaded = {{*{HEAVY}}} & {{*sys.modules}}\n"
        "    assert not loaded, (command, loaded)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_wandb_sklearn_and_matplotlib_are_imported_where_they_are_used():
    """At the top of a module they would be imported by every training."""
    package = Path(pixelrnn.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {name.partition(".")[0] for name in names}
            assert tops.isdisjoint({"wandb", "sklearn"}), path
            drawn = path.relative_to(package).as_posix().startswith(DRAWS)
            assert drawn or "matplotlib" not in tops, path


@pytest.mark.slow
def test_a_training_imports_neither_wandb_nor_sklearn_if_it_uses_neither():
    script = (
        "import sys, pixelrnn.cli.main as m\n"
        f"assert m.main([*{TINY}, 'data=ising', 'trainer.max_steps=1']) == 0\n"
        "assert {'wandb', 'sklearn.datasets'}.isdisjoint(sys.modules)\n"
        "assert not any(name.startswith('pixelrnn.figures') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("loggers", [{"csv": {"_target_": "x.MetricsCSV"}}, {}, None])
def test_wandb_is_imported_first_only_if_a_run_logs_to_it(loggers, monkeypatch):
    imported = []
    monkeypatch.setattr(train.importlib, "import_module", imported.append)
    train._import_wandb({"logger": loggers})
    assert imported == []
    node = {"_target_": "pytorch_lightning.loggers.WandbLogger"}
    train._import_wandb({"logger": {**(loggers or {}), "none": None, "wandb": node}})
    assert imported == ["wandb"]


def test_garbage_is_looked_for_seldom_until_the_work_begins(monkeypatch):
    usual = gc.get_threshold()
    start_up.finished()  # without a start it changes nothing
    assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, 0)
    monkeypatch.setattr(start_up, "_began", False)
    with contextlib.suppress(KeyError), start_up.starting():
        assert gc.get_threshold()[0] > 100 * usual[0]
        with start_up.starting():
            pass
        assert gc.get_threshold()[0] > 100 * usual[0]
        start_up.finished()
        assert gc.get_threshold() == usual
        assert gc.get_freeze_count() > 0
        raise KeyError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, 0)
    with start_up.starting():  # the second one of a process
        assert gc.get_threshold() == usual


def test_a_training_begins_with_the_usual_search_for_garbage(monkeypatch):
    usual, seen = gc.get_threshold(), []
    from pixelrnn.training import run

    monkeypatch.setattr(start_up, "_began", False)
    monkeypatch.setattr(run.pl.Trainer, "fit", lambda *_, **__: seen.append(gc.get_threshold()))
    assert main([*TINY]) != 0  # nothing was trained, so there is no checkpoint
    assert seen == [usual]
    assert gc.get_threshold() == usual


def test_choices_are_those_that_hydra_lists(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("a: 1\n")
    words = [f"hydra.searchpath=['file://{tmp_path}']"]
    with compose.initialized([]) as groups:
        for group in (
            "model",
            "experiment",
            "sweep",
            "data",
            "hydra/launcher",
            "model/small",
            "no",
        ):
            assert groups.options(group) == groups.loader.get_group_options(group), group
        own = Groups(groups.loader, words).options("model")
        assert own == sorted([*groups.options("model"), "mine"])


COUNTS = """
import os
with open(os.environ["IMPORTS"], "a") as file:
    file.write(f"{os.getpid()}\\n")
from pytorch_lightning.callbacks import Callback as Counted
"""


def imports(tmp_path, *words):
    """How many processes of a sweep have imported what trains."""
    (tmp_path / "counted.py").write_text(COUNTS)
    seen = tmp_path / "imports"
    seen.write_text("")
    path = os.pathsep.join([str(tmp_path), str(Path(pixelrnn.__file__).parents[1])])
    command = [*TINY, "-m", "+callbacks.c._target_=counted.Counted", "trainer.max_steps=1", *words]
    run = subprocess.run(
        [sys.executable, "-m", "pixelrnn", *command],
        env=os.environ | {"PYTHONPATH": path, "IMPORTS": str(seen), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert len(list(Path("runs").glob("*/results.json"))) == 4
    pids = seen.read_text().split()
    assert len(pids) == len(set(pids))
    return len(pids)


@pytest.mark.slow
def test_a_sweep_imports_once_for_each_process_and_not_for_each_job(tmp_path):
    assert imports(tmp_path, "seed=0,1,2,3") == 1


@pytest.mark.slow
def test_the_workers_of_joblib_are_kept_from_job_to_job(tmp_path):
    """This process checks the jobs, and two workers do them."""
    needed("joblib")
    words = ["hydra/launcher=local_joblib", "hydra.launcher.n_jobs=2"]
    assert imports(tmp_path, "seed=0,1,2,3", *words) == 3
