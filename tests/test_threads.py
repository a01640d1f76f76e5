import pytest
import torch

from pixelrnn import cores, threads
from pixelrnn.training import process


@pytest.fixture
def eight(monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_threads_respect_the_cores_and_the_environment(eight, monkeypatch):
    assert threads.for_training(10**6, 64, 1024) == threads.cores() == 8
    assert threads.for_training(100, 32, 64) == 1
    assert threads.for_training(10**6, 64, 1024, processes=3) == 2
    for asked, expected in (("3", 3), ("1", 1), ("16", 8), ("4,2", 4), ("", 8), ("x", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert threads.cores() == expected


@pytest.mark.parametrize(
    ("cores_of", "expected"),
    [
        ({}, 2),
        ({"SLURM_CPUS_PER_TASK": "6"}, 6),  # told, and perhaps not bound
        ({"SLURM_CPUS_PER_TASK": "16"}, 8),
        ({"SLURM_CPUS_ON_NODE": "32"}, 8),  # bound: what is there is this task's own
        ({"SLURM_CPUS_ON_NODE": "8"}, 2),  # not bound: all tasks share it
    ],
)
def test_a_task_of_srun_may_have_cores_of_its_own(eight, monkeypatch, cores_of, expected):
    place = {"STEP_NUM_TASKS": "4", "STEP_NUM_NODES": "1", "PROCID": "1", "LOCALID": "1"}
    for name, value in place.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in cores_of.items():
        monkeypatch.setenv(name, value)
    assert threads.share(4) == expected


def test_processes_that_one_task_starts_share_its_cores(eight, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert threads.share(4) == 2
    assert threads.share(16) == 1


def test_a_verb_takes_the_cores_of_the_process_not_torchs_choice(monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    with threads.limited(1):
        process.set_up(None)
        assert torch.get_num_threads() == 3
        process.set_up(2)
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before
