"""Folders of runs and data: room on the disc, and locks that hold between processes."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pixelrnn.doctor.finding import Finding, found

GIB = 1024**3
LITTLE_ROOM = 1 * GIB

WRITABLE = "choose a folder that you may write to: paths.{root}=FOLDER, or {variable}"
LOCKS = (
    "two processes could train one run here at once: choose a local disc by paths.{root}=FOLDER, "
    "or let no two processes use it"
)
_PROBE = """
import sys
from filelock import FileLock, Timeout
try:
    FileLock(sys.argv[1], timeout=0).acquire()
    print("free")
except Timeout:
    print("held")
"""


def findings(paths: dict[str, str]) -> Iterator[Finding]:
    """Yield what is found of each root, which need not exist yet; nothing is left in it.

    Args:
        paths: the roots "runs" and "data".
    """
    for root in ("runs", "data"):
        hint = WRITABLE.format(root=root, variable=f"PIXELRNN_{root.upper()}")
        yield from found(f"{root} folder", partial(_of, root, Path(paths[root]), hint), hint)


def _of(root: str, folder: Path, hint: str) -> Iterator[Finding]:
    name, shown = f"{root} folder", str(folder)
    there = folder.absolute()
    while not there.is_dir():
        if there.exists():
            yield Finding(name, "failed", f"{there} is no folder", hint)
            return
        there = there.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=there) as probe:
            free = shutil.disk_usage(probe).free
            locks = lock_fault(Path(probe) / "lock")
    except OSError as error:
        yield Finding(name, "failed", f"{shown}: {error.strerror}", hint)
        return
    new = "" if there == folder.absolute() else " (not there yet; a run makes it)"
    numbers = {"folder": shown, "free_bytes": free, "locks": locks is None}
    if free < LITTLE_ROOM:
        advice = f"delete what is not needed, or move it: paths.{root}=FOLDER"
        text = f"{shown}{new}: {free / GIB:.2f} GiB free"
        yield Finding(name, "failed", text, advice, numbers)
    elif locks:
        text = f"{shown}{new}: locks do not hold: {locks}"
        yield Finding(name, "failed", text, LOCKS.format(root=root), numbers)
    else:
        text = f"{shown}{new}: {free / GIB:.1f} GiB free, locks hold between processes"
        yield Finding(name, "ok", text, numbers=numbers)


def lock_fault(file: Path) -> str | None:
    """Hold a lock, and let another process try to take it, then again when it is free.

    Args:
        file: where the lock is made; its folder exists.

    Returns:
        What is wrong with locks there, or None.

    Raises:
        OSError: the file cannot be written.
    """
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except (Timeout, NotImplementedError) as error:
        return str(error) or "a new lock cannot be taken"
    try:
        while_held = _tried_by_another(file)
    finally:
        lock.release()
    if while_held != "held":
        return f"another process found a lock that was held {while_held}"
    afterwards = _tried_by_another(file)
    return None if afterwards == "free" else f"a lock that was given back was found {afterwards}"


def _tried_by_another(file: Path) -> str:
    """Return what another process finds a lock: "held" or "free", or what it died of."""
    command = [sys.executable, "-c", _PROBE, str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "neither free nor held for 20 s"
    said = done.stdout.strip()
    errors = done.stderr.strip().splitlines()
    return said or f"broken ({errors[-1] if errors else f'exit code {done.returncode}'})"
