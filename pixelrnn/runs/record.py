"""The record of a run: config.yaml and environment.json at its start, results.json at its end."""

import contextlib
import functools
import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Any

import yaml

from pixelrnn import atomic, cores, redaction
from pixelrnn.errors import RunError
from pixelrnn.runs import stored

_RECORD: dict[str, type | UnionType] = {
    "metrics": dict,
    "seed": int,
    "steps": int,
    "parameters": int,
    "training_seconds": int | float,
    "signature": str,
    "config": dict | None,
}
"""What lists, tables and reports read of a record."""

_PACKAGES = ("pixelrnn", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "numpy", "wandb")


def start(run: Path, config: dict[str, Any], **facts: Any) -> None:
    """Write config.yaml and environment.json of a run that begins or goes on.

    Args:
        run: run folder, made if needed.
        config: resolved plain configuration.
        facts: what environment.json says besides, such as where the run computes.
    """
    with atomic.replacing(run / "config.yaml") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    with atomic.replacing(run / "environment.json") as file:
        json.dump(environment() | facts, file, indent=2)


def note(run: Path, **facts: Any) -> None:
    """Add facts that are known only later to environment.json.

    Raises:
        OSError: it cannot be written.
    """
    known = stored_environment(run) or environment()
    with atomic.replacing(run / "environment.json") as file:
        json.dump(known | facts, file, indent=2)


def stored_environment(run: Path) -> dict[str, Any]:
    """Return what environment.json of a run holds; nothing if there is none that can be read."""
    try:
        content = stored.json_of(run / "environment.json")
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def finish(run: Path, results: dict[str, Any]) -> None:
    """Write results.json: its presence says that the run is finished."""
    with atomic.replacing(run / "results.json") as file:
        json.dump(results, file, indent=2)
    with contextlib.suppress(OSError):  # a folder in its place hides no result
        (run / "failed.json").unlink(missing_ok=True)


def fail(run: Path, error: Exception) -> None:
    """Write failed.json: why the last try of a run ended early."""
    text = redaction.redacted(" ".join(str(error).split())) or type(error).__name__
    with atomic.replacing(run / "failed.json") as file:
        json.dump({"type": type(error).__name__, "message": text}, file)
        file.write("\n")


def failure(run: Path) -> str | None:
    """One line on why the last try failed; None if it did not."""
    try:
        content = stored.json_of(run / "failed.json")
        return f"{content['type']}: {content['message']}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "failed.json is not readable"


def results(run: Path) -> dict[str, Any] | None:
    """Stored results, or None if the run is not finished.

    Raises:
        RunError: results.json is damaged.
    """
    path = run / "results.json"
    if not path.exists():
        return None
    try:
        content = stored.json_of(path)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}; move it away to evaluate anew") from error
    except ValueError as error:
        raise RunError(f"{path}: not readable ({error}); delete it to evaluate anew") from error
    wrong = fault(content)
    if wrong is not None:
        raise RunError(f"{path}: {wrong}; delete it to evaluate anew")
    return content


def fault(results: Any) -> str | None:
    """What the content of results.json lacks; None if it is a whole record."""
    if not isinstance(results, dict):
        return "not the record of a run"
    for name, kind in _RECORD.items():
        if not isinstance(results.get(name), kind):
            return f"the record lacks {name}"
    if not all(isinstance(item, int | float) for item in results["metrics"].values()):
        return "the record has a metric that is no number"
    return None


def folder_of(path: Path) -> Path:
    """The run folder that a path names: the path itself, or that of a file in it.

    Of a checkpoint or exported weights that stand alone it is the folder where they lie.
    """
    if not path.is_file():
        return path
    return path.parent.parent if path.parent.name == "checkpoints" else path.parent


def require(path: Path) -> None:
    """Refuse a path where nothing is, before anything is imported that takes seconds.

    Raises:
        RunError: there is neither a run folder nor a file; names runs beside it.
    """
    if not path.exists():
        raise RunError(f"{path}: no such run folder{_others(path)}")


def config(run: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        RunError: no such run folder, or it is half written or damaged.
    """
    path = run / "config.yaml"
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder{_others(run)}")
    if path.is_dir():
        raise RunError(f"{path}: is a folder; move it away, the configuration of the run is a file")
    if not path.is_file():
        raise no_run(run)
    try:
        content = stored.yaml_of(path)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path}: not readable ({error})") from error
    if not isinstance(content, dict):
        raise RunError(f"{path}: not a run's configuration")
    return content


def config_of(path: Path) -> dict[str, Any]:
    """The configuration of the run that a path names: its folder, or a file in it.

    Raises:
        RunError: as for `config`, or the file stands alone, outside a run folder.
    """
    folder = folder_of(path)
    if path.is_file() and not (folder / "config.yaml").exists():
        raise no_run(path)
    return config(folder)


def no_run(path: Path) -> RunError:
    """The error of a path that is neither a run folder nor a file in one."""
    if not path.is_file():
        return RunError(f"{path}: not a run folder, or half written (no config.yaml)")
    return RunError(
        f"{path}: stands alone, without the config.yaml of its run, which says what its data are; "
        f"name the run folder"
    )


def environment() -> dict[str, Any]:
    """Versions, commit, machine: what else a result may depend on."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    commit, dirty = _commit(Path(__file__))
    return {
        "command": redaction.redacted(" ".join(sys.argv)),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "versions": versions,
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": cores.available(),
        },
    }


@functools.cache
def _commit(file: Path) -> tuple[str | None, bool | None]:
    """Commit of the source this package runs from, and whether it was changed since.

    None where git does not track the file, such as in an environment inside another repository. It
    is asked once: a commit that is made while a run trains is not the code that it runs.
    """
    try:
        _, commit, status = (
            subprocess.run(
                ["git", "-C", str(file.parent), *words], capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (
                ("ls-files", "--error-unmatch", "--", file.name),
                ("rev-parse", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no", "--", ".."),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit, bool(status)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _others(run: Path) -> str:
    folder = run.parent
    if not folder.is_dir():
        return ""
    names = sorted(path.parent.name for path in folder.glob("*/config.yaml"))[:5]
    return f"; {folder} holds {', '.join(names)}" if names else ""
