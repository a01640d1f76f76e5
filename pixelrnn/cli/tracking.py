"""Loggers of a run. W&B watches; it never stops a training."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import wandb
from hydra.utils import instantiate
from pytorch_lightning.loggers import Logger, WandbLogger


@contextlib.contextmanager
def session(config: dict[str, Any]) -> Iterator[list[Logger]]:
    """The configured loggers, with the configuration logged; W&B is finished at the end.

    Without `finish`, the next job of the same process would write into this one's W&B run.
    """
    failed = True
    try:
        yield [_logger(node, config) for node in config["logger"].values() if node]
        failed = False
    finally:
        with contextlib.suppress(Exception):  # the record of truth is written without W&B
            wandb.finish(exit_code=int(failed))


def summarise(metrics: dict[str, float]) -> None:
    """Put final results, of the best weights, into the summary of the W&B run, if there is one."""
    if wandb.run is not None:
        wandb.run.summary.update(metrics)


def _logger(node: dict[str, Any], config: dict[str, Any]) -> Logger:
    if "tags" in node:
        node = node | {"tags": [tag for tag in node["tags"] if tag]}  # no experiment, no tag
    logger = instantiate(node, _convert_="all")
    if not isinstance(logger, WandbLogger):
        return logger
    try:
        return _started(logger, config)
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
            wandb.teardown()
        return _started(instantiate(node | {"offline": True}, _convert_="all"), config)


def _started(logger: WandbLogger, config: dict[str, Any]) -> WandbLogger:
    logger.log_hyperparams(config)  # makes the W&B run
    return logger
