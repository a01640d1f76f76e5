"""Loggers of a run. W&B watches; it never stops a training.

W&B is imported where it is used: a run without it does not pay for it.
"""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from pytorch_lightning.loggers import Logger, WandbLogger

from pixelrnn import redaction
from pixelrnn.errors import ConfigError
from pixelrnn.runs import nodes
from pixelrnn.training import process


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
    config: dict[str, Any], loggers: dict[str, Logger], goes_on: bool = False
) -> Iterator[list[Logger]]:
    """Start W&B with the configuration; W&B is finished at the end.

    Without `finish`, the next run of the same process would write into this one's W&B run.

    Args:
        config: of the run.
        loggers: from `build`.
        goes_on: the training is resumed, and its earlier history is logged again (`log_again`).

    Yields:
        The loggers to train with.
    """
    failed = True
    try:
        yield [
            _started(name, logger, config, goes_on) if isinstance(logger, WandbLogger) else logger
            for name, logger in loggers.items()
        ]
        failed = False
    finally:
        if any(isinstance(logger, WandbLogger) for logger in loggers.values()):
            with contextlib.suppress(Exception):  # the record of truth is written without W&B
                import wandb

                wandb.finish(exit_code=int(failed))


def log_again(loggers: list[Logger], rows: list[tuple[int, dict[str, float]]]) -> None:
    """Give the earlier half of a resumed run to W&B that writes offline.

    Each process writes a file of its own, and one that is killed leaves a file without an end. So a
    resumed run writes its whole history anew, without gaps or doubles; see `_put_earlier_aside`.

    Args:
        loggers: of the run.
        rows: step and metrics of all that was logged before and will not be logged again.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger) and logger.experiment.offline:
            for step, metrics in rows:
                logger.log_metrics(metrics, step)


def _put_earlier_aside(save_dir: Path) -> None:
    """Move the files of earlier processes of a run to where `wandb sync` does not look.

    A file of a process that was killed has no end, or is empty, and `wandb sync` then sends nothing
    of any run that is named in the same command.
    """
    for piece in sorted(save_dir.glob("wandb/offline-run-*")):
        if piece.is_dir() and not piece.is_symlink():
            earlier = save_dir / "wandb" / "earlier"
            earlier.mkdir(exist_ok=True)
            piece.rename(earlier / piece.name)


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
            _put_earlier_aside(Path(node.get("save_dir", ".")))
    try:
        return _with_configuration(logger, config)
    except Exception as error:  # no key, no network, no account: wandb raises many types
        if node.get("offline"):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(
            f"pixelrnn: W&B cannot start online ({reason}); going on offline: "
            f"`wandb sync {node['save_dir']}/wandb/offline-run-*` sends it later",
            file=sys.stderr,
        )
        with contextlib.suppress(Exception):
            import wandb

            wandb.teardown()
        return _with_configuration(_logger(name, node | {"offline": True}), config)


def _with_configuration(logger: WandbLogger, config: dict[str, Any]) -> WandbLogger:
    with _command_without_secrets():
        logger.log_hyperparams(config)  # makes the W&B run
    _let_it_fail(logger)
    return logger


def _let_it_fail(logger: WandbLogger) -> None:
    """What W&B raises in mid-run, as when its own process died, is one line; training goes on."""
    broken: list[str] = []

    def guarded(work: Callable[..., None]) -> Callable[..., None]:
        def attempt(*args: Any, **settings: Any) -> None:
            if broken:
                return
            try:
                work(*args, **settings)
            except Exception as error:  # wandb raises many types
                broken.append((str(error).strip() or type(error).__name__).splitlines()[0])
                process.say(
                    f"W&B failed ({broken[0]}); training goes on without it, and metrics.csv keeps "
                    "the curves"
                )

        return attempt

    for name in ("log_metrics", "log_image"):
        setattr(logger, name, guarded(getattr(logger, name)))


@contextlib.contextmanager
def _command_without_secrets() -> Iterator[None]:
    """W&B keeps the words of the command, such as the address of a database with its password."""
    before = sys.argv
    sys.argv = [redaction.redacted(word) for word in before]
    try:
        yield
    finally:
        sys.argv = before
