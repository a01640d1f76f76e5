"""Loggers of a run. W&B watches; it never stops a training.

W&B is imported where it is used: a run without it does not pay for it.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from pytorch_lightning.loggers import Logger, WandbLogger

from pixelrnn import redaction
from pixelrnn.errors import ConfigError
from pixelrnn.runs import nodes
from pixelrnn.training import wandb_files, wandb_guard
from pixelrnn.training.wandb_guard import Guard

_WANDB_LOGGER = "pytorch_lightning.loggers.WandbLogger"
_NAMES = ("project", "entity", "name", "group", "job_type", "tags", "notes")
_QUIET = {"silent": True, "console": "off"}


def build(config: dict[str, Any]) -> dict[str, Logger]:
    """The configured loggers: name -> logger. None of them has written anything yet.

    Raises:
        ConfigError: a logger refuses its arguments.
    """
    return {
        name: _logger(name, _named(node, config)) for name, node in config["logger"].items() if node
    }


@contextlib.contextmanager
def session(
    config: dict[str, Any], loggers: dict[str, Logger], goes_on: bool = False, done: bool = True
) -> Iterator[list[Logger]]:
    """Start W&B with the configuration; W&B is finished at the end.

    Without `finish`, the next run of the same process would write into this one's W&B run.

    Args:
        config: of the run.
        loggers: from `build`.
        goes_on: the training is resumed, and its earlier history is logged again (`log_again`).
        done: whether W&B is to show the run as finished, if the block ends well.

    Yields:
        The loggers to train with.
    """
    failed = True
    guards: list[Guard] = []
    try:
        started: list[Logger] = []
        for name, logger in loggers.items():
            if isinstance(logger, WandbLogger):
                logger = _started(name, logger, config, goes_on)
                guards.append(Guard(logger, partial(_sent, logger)))
            started.append(logger)
        yield started
        failed = not done
    finally:
        if any(isinstance(logger, WandbLogger) for logger in loggers.values()):
            wandb_guard.end(guards, int(failed))


def log_again(loggers: list[Logger], rows: list[tuple[int, dict[str, float]]]) -> None:
    """Give the earlier half of a resumed run to W&B: what it lacks of it is logged.

    Offline each process writes a file of its own, and one that is killed leaves a file without an
    end. So a resumed run writes its history anew, without gaps or doubles, and the files of earlier
    processes are put aside (`wandb_files`). Online a server may lack the last rows of a process
    that was killed.

    Args:
        loggers: of the run.
        rows: step and metrics of all that was logged before and will not be logged again.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            wandb_files.log_history(logger, rows, Path(logger.save_dir or "."))


def files_to_send(run: Path, config: dict[str, Any], results: dict[str, Any] | None) -> list[Path]:
    """The offline files of W&B by which a run is sent; a whole one is written if there is none.

    Args:
        run: the run folder, which no process trains.
        config: as stored there; of its logger only names are taken, so that a folder from somebody
            else has no say in what W&B does.
        results: its record; None if it is not finished.

    Returns:
        What is not sent yet, in the order in which it must be.

    Raises:
        RunError: there is nothing to send.
    """
    stored = config["logger"]["wandb"]
    node = {name: stored[name] for name in _NAMES if stored.get(name) is not None}
    node |= {"id": wandb_id(config), "name": node.get("name"), "save_dir": str(run)}
    node |= {"_target_": _WANDB_LOGGER, "offline": True, "resume": "allow", "settings": _QUIET}
    only = config | {"logger": {"wandb": node}}
    metrics = {} if results is None else results["metrics"]

    def begin() -> contextlib.AbstractContextManager[list[Any]]:
        return session(only, build(only), done=results is not None)

    return wandb_files.whole(run, begin, metrics)


def summarise(loggers: list[Logger], metrics: dict[str, float]) -> None:
    """Put final results, of the best weights, into the summary of the W&B run, if there is one."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            with contextlib.suppress(Exception):  # the record holds them
                logger.experiment.summary.update(metrics)


def add_picture(config: dict[str, Any], name: str, picture: Image.Image) -> None:
    """Put a picture into the W&B run of a stored run, which is opened again for it.

    Args:
        config: of a run that was trained with W&B; its `folder` says where it lies now.
        name: under which W&B shows the picture.
        picture: what to show.

    Raises:
        ConfigError: the logger refuses its arguments.
    """
    import wandb

    only = {"logger": {"wandb": config["logger"]["wandb"]}}
    with session(config, build(config | only)) as (logger,):
        logger.experiment.log({name: wandb.Image(picture)})  # type: ignore[attr-defined]


def wandb_id(config: dict[str, Any]) -> str | None:
    """The id of the run in W&B, None without W&B: one folder, one id."""
    node = config["logger"].get("wandb")
    if not node:
        return None
    if node.get("id"):
        return str(node["id"])
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", Path(config["folder"]).resolve().name)
    signature = config["signature"]
    return name if signature in name else f"{name}-{signature}"


def _named(node: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """A logger's node, with the id and name of the run where W&B asks for them."""
    if "tags" in node:
        node = node | {"tags": [tag for tag in node["tags"] or [] if tag]}  # no experiment, no tag
    if "id" in node:
        node = node | {"id": wandb_id(config)}
        node |= {"name": node.get("name") or f"{config['label']}-{config['signature']}"}
        # W&B's own process keeps the working folder of the first run of this process
        node |= {"save_dir": str(Path(node.get("save_dir", ".")).absolute())}
    return node


def _logger(name: str, node: dict[str, Any]) -> Any:
    try:
        logger = nodes.build(node)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"logger.{name}: {' '.join(str(error).split())}") from error
    if isinstance(logger, WandbLogger):  # Lightning passes on what W&B warns of at each start
        vars(logger).get("_wandb_init", {}).pop("anonymous", None)
    if not isinstance(logger, Logger):
        raise ConfigError(f"logger.{name}._target_={node.get('_target_')}: is no Logger")
    return logger


def _started(
    name: str, logger: WandbLogger, config: dict[str, Any], goes_on: bool = False
) -> WandbLogger:
    """Make the W&B run: online if it was asked for and can be, else offline."""
    node = _named(config["logger"][name], config)
    if node.get("offline") and goes_on:
        with contextlib.suppress(OSError):  # it stays beside the new one
            wandb_files.put_aside(Path(node.get("save_dir", ".")))
    try:
        return _with_configuration(logger, config)
    except Exception as error:  # no key, no network, no account: wandb raises many types
        if node.get("offline"):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(
            f"pixelrnn: W&B cannot start online ({reason}); going on offline: "
            f"`pixelrnn sync {node['save_dir']}` sends it later",
            file=sys.stderr,
        )
        with contextlib.suppress(Exception):
            import wandb

            wandb.teardown()
        return _with_configuration(_logger(name, node | {"offline": True}), config)


def _with_configuration(logger: WandbLogger, config: dict[str, Any]) -> WandbLogger:
    with _command_without_secrets():
        logger.log_hyperparams(config)  # makes the W&B run
    return logger


def _sent(logger: WandbLogger) -> int:
    """How many rows the server has: it says so itself, or the files that were sent do."""
    run = logger.experiment
    return wandb_files.sent(Path(logger.save_dir or ".")) if run.offline else run.starting_step


@contextlib.contextmanager
def _command_without_secrets() -> Iterator[None]:
    """W&B keeps the words of the command, such as the address of a database with its password."""
    before = sys.argv
    sys.argv = [redaction.redacted(word) for word in before]
    try:
        yield
    finally:
        sys.argv = before
