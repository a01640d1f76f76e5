"""The folder of a run: who may write into it, and what it says about runs before."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pixelrnn import refused
from pixelrnn.data import disk
from pixelrnn.errors import RunError
from pixelrnn.runs import record, signature
from pixelrnn.training import checkpoint, process, world
from pixelrnn.training.settings import Resume

_GOES_ON = "the same command goes on from the last checkpoint"


def stored_record(config: dict[str, Any]) -> dict[str, Any] | None:
    """The record of this very configuration, None if its run is not finished.

    Args:
        config: with `folder` and `signature`.

    Raises:
        RunError: the folder holds another run, or its record is damaged.
    """
    run = Path(config["folder"])
    if (run / "config.yaml").is_file():
        found = record.config(run)
        _check_signature(config, found.get("signature"), found)
    results = record.results(run)
    if results is not None:  # config.yaml may be gone, or of another run
        _check_signature(config, results["signature"], results.get("config") or {})
    return results


def _check_signature(config: dict[str, Any], stored: str | None, found: dict[str, Any]) -> None:
    """Refuse what is stored of another configuration.

    Args:
        config: of the run that is asked for.
        stored: signature of the run that the folder holds.
        found: configuration of that run; empty if it is not known.
    """
    if stored == config["signature"]:
        return
    keys = signature.differences(found, config) if found else []
    named = ", ".join(keys[:6]) + (", ..." if len(keys) > 6 else "")
    how = (
        f"differs in {named}" if keys else f"has the signature {stored}, not {config['signature']}"
    )
    raise RunError(
        f"{config['folder']}: holds a run of another configuration (it {how}); "
        "choose another folder"
    )


def check_resume(run: Path, resume: Resume) -> None:
    """Refuse to go on, or to begin, where the user forbids it.

    Args:
        run: folder of a run that is not finished, or of none.
        resume: see `settings.Settings`.

    Raises:
        RunError: `resume` is "must" and no checkpoint is there, or "never" and one is.
    """
    half_done = checkpoint.present(run)
    if resume == "must" and not half_done:
        what = "holds no checkpoint" if run.is_dir() else "there is no such folder"
        raise RunError(
            f"resume=must: {run}: {what}, so there is nothing to go on from; "
            "resume=auto begins a new run"
        )
    if resume == "never" and half_done:
        raise RunError(
            f"resume=never: {run}: holds a half-done run; resume=auto goes on with it, folder=... "
            "trains anew in another folder, or delete this one"
        )


@contextlib.contextmanager
def held(run: Path) -> Iterator[None]:
    """Make the folder, hold its lock, and remove what a killed process left half written.

    Of several processes the first does this for all.

    Raises:
        RunError: another process holds it, the folder cannot be written, or one of several
            processes does not see it.
    """
    lock = FileLock(run / ".lock", timeout=0)
    try:
        world.from_first(lambda: _acquire(run, lock))
        world.all_or_none(lambda: _see(run))
        yield
    finally:
        if lock.is_locked:
            lock.release()


def _acquire(run: Path, lock: FileLock) -> None:
    try:
        for folder in (run, run / "checkpoints", run / "samples"):
            folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise RunError(f"{run}: another process is training this run") from error
    except OSError as error:
        raise RunError(f"{refused.line(error, run)} (the run's folder must be writable)") from error
    disk.sweep(run, alone=True)
    disk.sweep(run / "checkpoints", alone=True)
    disk.sweep(run / "samples")  # where other commands write, too


def _see(run: Path) -> None:
    if not (run / ".lock").exists():
        raise RunError(
            f"{run}: is not there on {socket.gethostname()}; it has to lie where all machines of a "
            "run can read it"
        )


@contextlib.contextmanager
def failure_noted(run: Path) -> Iterator[None]:
    """Leave failed.json if what is done here raises.

    Raises:
        RunError: the system refuses a file, such as on a full disc, or a process that loads images
            is gone. What was saved before is kept.
    """
    try:
        yield
    except Exception as error:
        if process.is_writer():
            with contextlib.suppress(OSError):  # a full disc must not hide what went wrong first
                record.fail(run, error)
        if refused.by_the_system(error):
            raise RunError(f"{refused.line(error)}; {_GOES_ON}") from error
        if refused.for_want_of_a_worker(error):
            reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
            raise RunError(
                f"a process that loads images is gone ({reason}); the system ends processes when "
                f"memory does not suffice: lower data.num_workers; {_GOES_ON}"
            ) from error
        raise
