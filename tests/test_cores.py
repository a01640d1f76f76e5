"""The number of cores, read from trees of files as Linux shows them."""

import os

import pytest

from pixelrnn import cores

NO_GROUPS = {"cgroup": "", "mountinfo": "29 1 0:27 / /sys rw - sysfs sysfs rw\n"}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that lays out a machine: CPUs, siblings, and control groups."""

    def lay_out(cpus, siblings=None, proc=NO_GROUPS, **limits):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cpus), raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 64)
        monkeypatch.setattr(cores, "PROC", tmp_path / "proc")
        monkeypatch.setattr(cores, "CPUS", tmp_path / "cpus")
        files = {f"proc/{name}": text for name, text in proc.items()}
        for group in siblings or []:
            names = {f"cpus/cpu{cpu}/topology/thread_siblings_list" for cpu in group}
            files |= dict.fromkeys(names, ",".join(map(str, group)) + "\n")
        for name, text in (files | limits).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text.replace("TREE", str(tmp_path)))

    return lay_out


def test_affinity_counts_and_not_the_machine(machine):
    machine([3, 5, 6])
    assert cores.available() == 3


def test_two_logical_cpus_of_a_core_count_once(machine):
    machine(range(8), siblings=[(0, 4), (1, 5), (2, 6), (3, 7)])
    assert cores.available() == 4
    machine([0, 4, 1], siblings=[(0, 4), (1, 5)])
    assert cores.available() == 2


V2 = {
    "cgroup": "0::/jobs/one\n",
    "mountinfo": "35 24 0:30 / TREE/v2 rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
}


@pytest.mark.parametrize(
    ("limits", "quota", "expected"),
    [
        ({}, None, 8),
        ({"v2/jobs/one/cpu.max": "max 100000\n"}, None, 8),
        ({"v2/jobs/one/cpu.max": "350000 100000\n"}, 3.5, 3),
        ({"v2/jobs/one/cpu.max": "50000 100000\n"}, 0.5, 1),
        ({"v2/jobs/one/cpu.max": "max 100000\n", "v2/jobs/cpu.max": "200000 100000\n"}, 2.0, 2),
        ({"v2/jobs/one/cpu.max": "100000 50000\n", "v2/jobs/cpu.max": "900000 100000\n"}, 2.0, 2),
        ({"v2/jobs/one/cpu.max": "1600000 100000\n"}, 16.0, 8),
        ({"v2/jobs/one/cpu.max": "what\n"}, None, 8),
    ],
)
def test_the_quota_of_version_2(machine, limits, quota, expected):
    machine(range(8), proc=V2, **limits)
    assert cores.quota() == quota
    assert cores.available() == expected


@pytest.mark.parametrize(
    ("path", "root", "folder"),
    [
        ("/docker/ab", "/", "v1/docker/ab"),  # seen from the host
        ("/docker/ab", "/docker/ab", "v1"),  # in a container, its own group mounted
        ("/docker/ab", "/kubepods/cd", "v1"),  # the path is the host's
        ("/", "/", "v1"),  # in a container with a namespace of its own
    ],
)
def test_the_quota_of_version_1(machine, path, root, folder):
    proc = {
        "cgroup": f"9:name=systemd:/\n4:memory:/elsewhere\n3:cpu,cpuacct:{path}\n0::/\n",
        "mountinfo": "31 24 0:31 / TREE/memory rw - cgroup cgroup rw,memory\n"
        f"32 24 0:32 {root} TREE/v1 rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "33 24 0:33 / TREE/unified rw - cgroup2 cgroup2 rw\n",
    }
    names = [f"{folder}/cpu.cfs_{what}_us" for what in ("quota", "period")]
    machine(range(8), proc=proc, **dict(zip(names, ("-1\n", "100000\n"), strict=True)))
    assert cores.available() == 8
    machine(range(8), proc=proc, **dict(zip(names, ("250000\n", "100000\n"), strict=True)))
    assert cores.quota() == 2.5
    assert cores.available() == 2


def test_without_affinity_all_cpus_count(machine, monkeypatch):
    machine(range(8))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores.available() == 64


def test_this_machine():
    assert 1 <= cores.available() <= os.cpu_count()
