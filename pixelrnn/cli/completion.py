"""Completion by Tab: `eval "$(pixelrnn --shell-completion bash)"` in ~/.bashrc, or zsh."""

import importlib
import inspect
import os
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pixelrnn.cli import signatures, usage
from pixelrnn.errors import ConfigError, PixelRNNError

_BASH = """_pixelrnn() {
    local line="${COMP_LINE:0:$COMP_POINT}" IFS=$'\\n'
    local word="${line##* }"
    COMPREPLY=($(pixelrnn --complete "$line" 2>/dev/null))
    if [[ $COMP_WORDBREAKS == *=* && $word == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    fi
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
}
complete -o default -F _pixelrnn pixelrnn"""

_SHELLS = {"bash": _BASH, "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{_BASH}"}


def script(shell: str) -> str:
    """What a shell must evaluate.

    Args:
        shell: "bash" or "zsh"; Hydra's "install=bash" means the same.

    Raises:
        ConfigError: another shell.
    """
    name = shell.removeprefix("install=")
    if name not in _SHELLS:
        raise ConfigError(f"--shell-completion {shell}: choose from {', '.join(_SHELLS)}")
    return _SHELLS[name]


def candidates(line: str, verbs: typing.Iterable[str]) -> list[str]:
    """What may stand at the end of a line.

    Args:
        line: from "pixelrnn" to the cursor.
        verbs: all of the command line.
    """
    *words, last = line.split(" ")[1:] or [""]
    words = [word for word in words if word]
    if not words:
        return sorted(verb for verb in verbs if verb.startswith(last))
    if words[0] not in verbs:
        return []
    try:
        found = [] if words[0] == "train" else list(_of_verb(words, last))
        if words[0] in ("train", "plan"):
            found += _of_train(words[1:], last)
        return sorted({word for word in found if word.startswith(last)})
    except PixelRNNError:  # what is typed already is wrong, and will be refused with its reason
        return []


def _of_verb(words: list[str], last: str) -> Iterator[str]:
    """Keys of a plain verb, or values of one; first the kinds of a verb that has several."""
    module = importlib.import_module(f"pixelrnn.cli.{words[0]}")
    function: Callable[..., Any] = getattr(module, words[0])
    kinds: list[str] | None = getattr(module, "KINDS", None)
    if kinds is not None:
        if len(words) == 1:
            yield from kinds
            return
        function = function(words[1])
    key, equals, _ = last.partition("=")
    if not equals:
        yield from (f"{name}=" for name in signatures.keys(function))
    elif key == "run":
        yield from _runs(last)
    else:
        hints = typing.get_type_hints(inspect.unwrap(function), include_extras=True)
        values = usage.choices(hints.get(key, Any)).split(" | ")
        yield from (f"{key}={value}" for value in values if value and " " not in value)


def _of_train(words: list[str], last: str) -> Iterator[str]:
    """Groups, choices and keys; the keys are those of the choices made so far."""
    from pixelrnn.cli import command_line, compose, refusals

    key, equals, value = last.partition("=")
    if equals and key == "run":
        yield from _runs(last)
        return
    command = command_line.parsed([word for word in words if word not in ("-m", "--multirun")])
    plain = [word for word in command.words if "," not in word or "[" in word]
    with compose.initialized(command.words) as groups:
        if equals:
            before = value.rpartition(",")[0]
            start = f"{key}={before}," if before else f"{key}="
            yield from (f"{start}{option}" for option in groups.options(key))
            return
        config = compose.job(plain)
    yield from (f"{group}=" for group in config.hydra.runtime.choices)
    yield from _keys(refusals.unresolved(config), last.rpartition(".")[0])


def _keys(config: dict[Any, Any], parent: str) -> Iterator[str]:
    """Keys directly below a node; a node ends in a dot, a value in an equals sign."""
    node: Any = config
    for name in filter(None, parent.split(".")):
        node = node.get(name) if isinstance(node, dict) else None
    for key, child in node.items() if isinstance(node, dict) else ():
        if not str(key).startswith("_"):
            yield f"{parent}{'.' if parent else ''}{key}{'.' if isinstance(child, dict) else '='}"


def _runs(last: str) -> Iterator[str]:
    """Run folders below what is typed, else those of the folder of runs."""
    typed = last.partition("=")[2]
    folder = Path(os.path.dirname(typed) or signatures.roots()["runs"])
    if folder.is_dir():
        for path in folder.iterdir():
            if (path / "config.yaml").is_file():
                yield f"run={path}"
