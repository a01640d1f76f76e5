"""`pixelrnn train` with --help, --cfg or --info: told, and nothing is trained."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pixelrnn.cli import (
    command_line,
    completion,
    compose,
    docstrings,
    hydra_main,
    refusals,
    signatures,
    source_text,
    usage,
)
from pixelrnn.cli.groups import Groups
from pixelrnn.cli.multirun import plans
from pixelrnn.errors import ConfigError

SETTINGS = "pixelrnn.training.settings.Settings"
"""Its docstring explains the keys that are no group's."""

_PASSES_ON = {"pytorch_lightning.loggers.WandbLogger": "wandb.sdk.wandb_init.init"}
"""Constructors that pass arguments on to another function."""

_HEAD = """usage: pixelrnn train [-m] [GROUP=CHOICE ...] [KEY=VALUE ...] [FLAG ...]
       pixelrnn train run=FOLDER        a stored run again, from its own configuration

Train a model, evaluate it, draw samples; the same command finds the same run, and goes on with it.
+KEY=VALUE adds a key that a constructor takes and that is not listed; GROUP=CHOICE with --help
lists the keys of that choice; KEY=null leaves a callback or a logger out.

flags
  -m                several runs: KEY=A,B,C or sweep=NAME; finished ones are skipped
  --config-dir DIR  a folder with groups of your own, such as DIR/model/mine.yaml: model=mine
  --cfg job         print the configuration and stop (--resolve, --package NODE; hydra, all)
  --info TOPIC      print how it is composed and stop (defaults-tree, searchpath, plugins, ...)
  -sc bash          print the script for completion by Tab (also zsh)"""


def asked(command: command_line.Command) -> bool:
    """Whether a command asks a question, and trains nothing."""
    return command.help or bool(command.completion or command.show or command.info)


def answered(command: command_line.Command) -> bool:
    """Answer a question about a command, if it is one.

    Returns:
        Whether it was: then there is nothing more to do.

    Raises:
        ConfigError: the command's words are wrong.
    """
    if command.completion is not None:
        print(completion.script(command.completion))
    elif command.help:
        print(help_text(command))
    elif command.show is not None:
        print(shown(command))
    elif command.info is not None:
        words = [*_words_of_one_job(command), "--info", command.info]
        hydra_main.run(words, lambda config: None, multirun=False)
    else:
        return False
    return True


def help_text(command: command_line.Command) -> str:
    """Groups with their choices, then one entry for each key, explained by its constructor."""
    with compose.initialized(command.words) as groups:
        composed = compose.job(_words_of_one_job(command))
        choices = _groups(composed, groups)
    config = refusals.unresolved(composed)
    del config["hydra"], config["paths"]
    own = _described(SETTINGS)
    rows = [
        (f"{key}={_text(node)}", own.get(key, ""))
        for key, node in config.items()
        if not isinstance(node, dict)
    ]
    rows += [
        (f"{key}={folder}", signatures.ROOTS[key][2])
        for key, folder in zip(signatures.ROOTS, signatures.roots().values(), strict=True)
    ]
    sections = [_HEAD, _section("groups", choices), _section("keys", rows)]
    for key, node in config.items():
        if isinstance(node, dict):
            found = list(_rows(key, node, {}))
            title = f"{key}: {own[key]}" if own.get(key) else key
            sections += [_section(title, found)] if found else []
    return "\n\n".join(sections)


def shown(command: command_line.Command) -> str:
    """The configuration as YAML; of a multirun that of its first job, and what varies.

    Raises:
        ConfigError: there is no such node, or a value cannot be resolved.
    """
    comment = ""
    if command.multirun:
        plan = plans.of(command.words, lambda config: None)
        config = plan.first
        varies = "".join(f"# {key}={values}\n" for key, values in plan.swept.items())
        comment = f"# The first of {plan.count} jobs, which vary in:\n{varies}"
    else:
        with compose.initialized(command.words):
            config = compose.job(command.words)
    with compose.told(config):
        if command.show == "job":
            OmegaConf.set_struct(config, False)
            config = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
        elif command.show == "hydra":
            config = OmegaConf.masked_copy(config, ["hydra"])
        node = OmegaConf.select(config, command.package) if command.package else config
        if node is None:
            raise ConfigError(f"--package {command.package}: no such node")
        compose.register_resolvers()
        try:
            return comment + OmegaConf.to_yaml(node, resolve=command.resolve).rstrip()
        except OmegaConfBaseException as error:
            raise ConfigError(f"--resolve: {' '.join(str(error).split())}") from error


def _words_of_one_job(command: command_line.Command) -> list[str]:
    if not command.multirun:
        return command.words
    return plans.of(command.words, lambda config: None).words


def _groups(config: DictConfig, groups: Groups) -> list[tuple[str, str]]:
    """Group with its present choice; all choices."""
    chosen = config.hydra.runtime.choices
    rows = []
    for group in reversed(list(chosen)):
        if not str(group).startswith("hydra/"):
            options = groups.options(str(group))
            rows.append((f"{group}={_text(chosen[group])}", " ".join(options)))
    for group in ("hydra/launcher", "hydra/sweeper"):
        options = groups.options(group)
        rows.append((f"{group}={_text(chosen[group])}", " ".join(options)))
    return [(name, text) for name, text in rows if text]


def _rows(path: str, node: dict[Any, Any], described: dict[str, str]) -> Iterator[tuple[str, str]]:
    """One entry for each key of a node, in the words of its constructor's docstring."""
    if "_target_" in node:
        described = _described(str(node["_target_"]))
    for key, child in node.items():
        if isinstance(child, dict) and child:
            yield from _rows(f"{path}.{key}", child, {})
        elif not str(key).startswith("_"):
            yield f"{path}.{key}={_text(child)}", described.get(str(key), "")


def _described(target: str) -> dict[str, str]:
    """Argument -> the first sentence of its description."""
    described: dict[str, str] = {}
    for name in (_PASSES_ON.get(target), target):
        constructor = source_text.constructor(name) if name else None
        if constructor is not None:
            described |= constructor.described
    return {key: docstrings.first_sentence(text) for key, text in described.items()}


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    return f"{title}\n{usage.table(rows)}"
