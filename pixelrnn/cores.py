"""How many cores of the machine this process may use, as Linux tells it; free of torch.

`os.cpu_count()` counts the whole machine. A process may have less of it: by its affinity (taskset,
srun, cpuset) and by the CPU quota of its control group (`docker run --cpus`, Kubernetes limits),
beyond which the kernel stops all its threads for the rest of each tenth of a second. Two logical
CPUs of one core share its vector units, which one thread of products keeps busy: they count once.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")
CPUS = Path("/sys/devices/system/cpu")


def available() -> int:
    """Return the number of cores that this process may use, at least one.

    It is the number of physical cores in its affinity, and not above the CPU quota of its control
    group, rounded down. Where there is no affinity (macOS), all logical CPUs count.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = len({_core(cpu) for cpu in os.sched_getaffinity(0)})
    limit = quota()
    return max(1, cores if limit is None else min(cores, int(limit)))


def quota() -> float | None:
    """Return the CPUs' worth of time that the control groups allow; None: no limit.

    The limits of the groups above count too: the smallest one holds. Version 2 keeps a quota in
    `cpu.max`, version 1 in `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
    """
    limits = [limit for folder in _groups() if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _core(cpu: int) -> str:
    """Return what the logical CPUs of one core have in common."""
    siblings = _text(CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list")
    return siblings.strip() or f"CPU {cpu}"


def _groups() -> Iterator[Path]:
    """Yield the folders of the control groups that bound this process's CPU time."""
    paths: dict[str, str] = {}  # of the group in each hierarchy: "" is version 2
    for line in _text(PROC / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    for line in _text(PROC / "mountinfo").splitlines():
        mount, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        controller = {"cgroup2": "", "cgroup": "cpu"}.get(kind)
        if controller not in paths or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        root, point = (PurePosixPath(word) for word in mount.split(" ")[3:5])
        group = PurePosixPath(paths[controller])
        # a container may see the path of its host, and its own group alone under the mount
        inside = group.relative_to(root) if group.is_relative_to(root) else PurePosixPath()
        for part in (inside, *inside.parents):
            yield Path(point / part)


def _limit(folder: Path) -> float | None:
    """Return the quota of one control group in CPUs; None: it has none."""
    words = _text(folder / "cpu.max").split()
    if not words:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [word for name in names for word in _text(folder / name).split()]
    if len(words) != 2 or not all(word.isdecimal() for word in words) or words[1] == "0":
        return None  # "max", or -1 in version 1: no limit
    return int(words[0]) / int(words[1])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
