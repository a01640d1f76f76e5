"""Hydra's own entry, for what it alone does: multiruns, and telling how it composes.

It reads sys.argv, prints and exits on errors, and sets up logging for the whole process. All of
that is put back here.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hydra

from pixelrnn.cli import compose
from pixelrnn.results import shipped


def run(words: Sequence[str], task: Callable[[Any], Any], multirun: bool) -> None:
    """Let Hydra compose and call a task.

    Args:
        words: overrides and Hydra's flags.
        task: takes a configuration; a function of a module, so that launchers can send it.
        multirun: whether words may be swept.

    Raises:
        ConfigError: Hydra cannot compose.
    """
    flags = ["--multirun"] if multirun else []
    decorated = hydra.main(
        version_base="1.3", config_path=str(shipped.conf()), config_name=compose.TRAIN
    )(task)
    with _process(["pixelrnn train", *flags, *words]), compose.explained(words, multirun):
        decorated()


@contextlib.contextmanager
def _process(argv: list[str]) -> Iterator[None]:
    """Show Hydra a command line, let it raise in place of printing, and put everything back."""
    root = logging.getLogger()
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR"), root.level, list(root.handlers)
    sys.argv = argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before[0]
        root.setLevel(before[2])
        root.handlers[:] = before[3]
        if before[1] is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
