"""`pixelrnn sync [runs/...]`: sends to W&B what runs logged offline, each step once."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError, PixelRNNError, RunError
from pixelrnn.results import collect
from pixelrnn.runs import naming, record, upgrade

_PATIENCE = {
    "WANDB_X_GRAPHQL_RETRY_MAX": "4",
    "WANDB_X_FILE_STREAM_RETRY_MAX": "4",
    "WANDB_X_FILE_TRANSFER_RETRY_MAX": "4",
}
"""How often W&B's client tries again, about half a minute; by itself it goes on for days."""

_AT_ONCE = 200
"""Files that one process of W&B's client sends."""


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(sync, argv, first="run")


def sync(*, run: tuple[str, ...] = (), paths: dict[str, str]) -> list[Path]:
    """Send runs to W&B that were trained offline; W&B's own client does it, after `wandb login`.

    A run that was interrupted or killed and went on is sent as one: every step once. One that was
    killed and did not go on is sent up to its last row in metrics.csv. Of a run that went on after
    it was sent, what is new is sent.

    Args:
        run: run folders; none: all of paths.runs that have W&B files. Those that are being trained
            are left for later.
        paths: roots of runs and data.

    Returns:
        The files that were sent.

    Raises:
        ConfigError: a run was trained without W&B.
        RunError: a folder is no run, or something could not be sent; what could was.
    """
    folders = _named(run) if run else _all(Path(paths["runs"]))
    console = Console()
    prepared: dict[Path, list[Path]] = {}
    problems: dict[Path, str] = {}
    for folder in folders:
        try:
            prepared[folder] = _files(folder)
        except PixelRNNError as error:
            problems[folder] = str(error)
    # a run's curves are sent before what was added to them later
    reason = ""
    for turn in range(max(map(len, prepared.values()), default=0)):
        files = [files[turn] for files in prepared.values() if len(files) > turn]
        reason = _sent(files) or reason
    sent = []
    for folder, files in prepared.items():
        missing = [file for file in files if not _marker(file).exists()]
        sent += [file for file in files if file not in missing]
        if missing:
            problems[folder] = f"{folder}: not sent"
        else:
            state = "sent" if files else "was sent before"
            console.print(f"{folder}: {state}", highlight=False, markup=False, soft_wrap=True)
    if not folders:
        console.print(f"{paths['runs']}: no runs with W&B files", highlight=False, soft_wrap=True)
    if problems:
        because = f"; W&B: {reason}" if reason else ""
        raise RunError("; ".join(problems.values()) + because)
    return sent


def _named(given: Sequence[str]) -> list[Path]:
    """The folders that were named.

    Raises:
        RunError: one is no run.
        ConfigError: one was trained without W&B.
    """
    folders = [Path(path) for path in dict.fromkeys(given)]
    for folder in folders:
        record.require(folder)
        if not _node(record.config(folder)):
            raise ConfigError(f"{folder}: was trained without W&B (logger.wandb is null)")
    return folders


def _all(root: Path) -> list[Path]:
    """All runs with offline files that no process trains."""
    return [
        run.folder
        for run in collect.scan(root)
        if run.state not in ("running", "damaged")
        and any(run.folder.glob("wandb/offline-run-*"))
        and _node(run.config or record.config(run.folder))
    ]


def _node(config: dict[str, Any]) -> dict[str, Any] | None:
    return (config.get("logger") or {}).get("wandb")


def _files(folder: Path) -> list[Path]:
    """What is to be sent of a run, in order; nobody trains it meanwhile.

    Raises:
        RunError: it is being trained, or there is nothing to send.
    """
    from pixelrnn.training import run_folder, tracking

    stored = upgrade.upgraded(record.config(folder))
    config = naming.moved(stored, str(folder))
    config["logger"]["wandb"]["id"] = tracking.wandb_id(stored)  # of its first folder
    with run_folder.held(folder):
        return tracking.files_to_send(folder, config, record.results(folder))


def _marker(file: Path) -> Path:
    from pixelrnn.training import wandb_files

    return wandb_files.marker(file)


def _sent(files: list[Path]) -> str:
    """Let W&B's client send files; returns what it said last if some are not sent, else ""."""
    from pixelrnn.training import wandb_files

    reason = ""
    with tempfile.TemporaryDirectory() as logs:  # else it writes beside the command's files
        environment = _PATIENCE | os.environ | {"WANDB_DIR": logs, "WANDB_SILENT": "false"}
        environment.pop("WANDB_MODE", None)
        for start in range(0, len(files), _AT_ONCE):
            part = [str(file.absolute()) for file in files[start : start + _AT_ONCE]]
            _, said = wandb_files.client(["sync", *part], environment)
            if not all(_marker(Path(file)).exists() for file in part):
                reason = _reason(said)
    return reason


def _reason(said: str) -> str:
    """The line by which W&B's client says what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    wrong = [line for line in lines if "ERROR" in line or line.startswith("Error:")]
    wrong = [line for line in wrong if "detailed error logs" not in line] or lines or ["nothing"]
    return wrong[-1].removeprefix("wandb: ERROR ").removeprefix("Error: ")
