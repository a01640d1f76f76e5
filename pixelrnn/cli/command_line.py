"""Words and flags of `pixelrnn train`: what Hydra composes, and what is asked about it."""

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError

LITERAL = re.compile(r"^(\+{0,2})(folder|data\.path|paths\.\w+)=(.+)$", re.S)
"""Keys that hold a path: what follows is taken as it stands, in quotes or not."""

_READABLE = re.compile(r"^[^\[\]{}()'\"\\,=:$#\s]*$")
"""Values without any sign that means something to Hydra."""


@dataclass(frozen=True)
class Command:
    """What was typed after `pixelrnn train`.

    Attributes:
        words: overrides for Hydra, those that flags stand for included.
        multirun: whether several jobs are asked for.
        help: whether an explanation of the keys is asked for.
        show: "job", "hydra" or "all": the part of the configuration to print, and nothing else.
        resolve: whether to print it with interpolations resolved.
        package: the node of it to print.
        info: what Hydra should tell about how it composes.
        completion: the shell for which completion is asked.
    """

    words: list[str]
    multirun: bool = False
    help: bool = False
    show: str | None = None
    resolve: bool = False
    package: str | None = None
    info: str | None = None
    completion: str | None = None


def parsed(argv: list[str]) -> Command:
    """Sort words and flags.

    Raises:
        ConfigError: a flag is unknown or lacks its value, or a word is no KEY=VALUE.
    """
    known = _parser().parse_intermixed_args(argv)
    for word in known.words:
        if "=" not in word[1:] and not word.startswith("~"):
            raise ConfigError(f"{word}: expected KEY=VALUE; `pixelrnn train --help` lists the keys")
    multirun = known.multirun or "hydra.mode=MULTIRUN" in known.words
    words = [_literal(word, multirun) for word in known.words]
    return Command(
        words=_searching(words, known.config_dir),
        multirun=multirun,
        help=known.help,
        show=known.cfg,
        resolve=known.resolve,
        package=known.package,
        info=known.info,
        completion=known.shell_completion,
    )


def quoted(key: str, text: str) -> str:
    """An override that gives a key this very text."""
    return f"{key}='{_escaped(text)}'"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise in place of printing the usage and leaving the process."""
        raise ConfigError(f"{message}; `pixelrnn train --help` lists all flags")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pixelrnn train", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("-p", "--package")
    topics = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
    parser.add_argument("-i", "--info", nargs="?", const="all", choices=topics)
    parser.add_argument("-sc", "--shell-completion", nargs="?", const="bash")
    return parser


def _literal(word: str, multirun: bool) -> str:
    """Quote values that are paths, and values with letters that Hydra's grammar does not know."""
    match = LITERAL.match(word)
    if match and not (multirun and "," in match[3]):
        plus, key, text = match.groups()
        return (
            word
            if "${" in text or text == "null"
            else plus + quoted(key, plain_arguments.unquoted(text))
        )
    key, equals, text = word.partition("=")
    if equals and not text.isascii() and _READABLE.match(text):
        return quoted(key, text)
    return word


def _escaped(text: str) -> str:
    """Text for within single quotes: Hydra reads a backslash only before a quote."""
    text = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", text)
    return re.sub(r"(\\+)$", lambda match: match[1] * 2, text)


def _searching(words: list[str], config_dir: str | None) -> list[str]:
    """Let Hydra look for groups in one more folder, in single runs and in every job alike.

    Raises:
        ConfigError: there is no such folder.
    """
    if config_dir is None:
        return words
    folder = Path(config_dir).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {config_dir}: no such folder")
    paths = [f"file://{os.path.abspath(folder)}"]
    rest = []
    for word in words:
        if word.startswith("hydra.searchpath=[") and word.endswith("]"):
            paths += [path.strip() for path in word.partition("[")[2][:-1].split(",")]
        else:
            rest.append(word)
    listed = ",".join(f"'{_escaped(plain_arguments.unquoted(path))}'" for path in paths if path)
    return [*rest, f"hydra.searchpath=[{listed}]"]
