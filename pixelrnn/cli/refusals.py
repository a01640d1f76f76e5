"""Why Hydra refuses words, in one line that names every wrong one and what was meant.

Hydra stops at the first wrong word and speaks of its own files. So the words are looked at one by
one: choices of groups first; then, in the configuration that the right choices give, the keys.
"""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import hydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf

from pixelrnn.cli import source_text
from pixelrnn.cli.groups import SEARCHPATH, Groups
from pixelrnn.runs import check

EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "slurm",
    "submitit_slurm": "slurm",
    "ray": "ray",
    "optuna": "optuna",
}
"""Hydra's plugins -> which of our extras brings them."""


def line(error: Exception, words: Sequence[str], groups: Groups, multirun: bool) -> str:
    """One line about all that is wrong; within an initialized Hydra.

    Args:
        error: what Hydra raised.
        words: all overrides of the command.
        groups: of Hydra and of the user.
        multirun: whether values may be swept.
    """
    parser = groups.parser()
    wrong: list[str] = []
    choices = [word for word in words if word.startswith(f"{SEARCHPATH}=")]
    keys: list[Override] = []
    for word in words:
        try:
            override = parser.parse_override(word)
        except HydraException as refused:
            wrong.append(f"{word}: not an override ({str(refused).splitlines()[0]})")
            continue
        if override.is_sweep_override() and not multirun:
            wrong.append(
                f"{word}: several values need a multirun: pixelrnn train -m ...; "
                f"a list is written {override.key_or_group}=[...]"
            )
        elif override.key_or_group == SEARCHPATH:
            continue
        elif groups.options(override.key_or_group):
            bad = list(_wrong_choices(override, groups))
            wrong += bad
            if not bad:
                choices.append(_first(override))
        else:
            keys.append(override)
    config = _composed(choices)
    if config is not None:
        wrong += [text for override in keys for text in _wrong_key(override, config)]
        if not wrong:
            wrong = list(_cut_off(keys))
    return "; ".join(wrong) or of_hydra(error)


def no_names(words: Sequence[str], groups: Groups) -> str:
    """One line about words that give a group something else than the name of a choice.

    Args:
        words: all overrides of the command.
        groups: of Hydra and of the user.
    """
    wrong = []
    for word in words:
        override = groups.parser().parse_override(word)
        group, value = override.key_or_group, override.value()
        options = list(groups.options(group))
        if not options or override.is_delete() or isinstance(value, str | list):
            continue
        if value is None:
            wrong.append(f"{word}: to leave a group out, write ~{group}")
        elif not override.is_sweep_override():
            wrong.append(
                f"{word}: no name of a choice; {check.nearest(str(value), options, f'{group}=')}"
            )
    return "; ".join(wrong) or f"{' '.join(words)}: a group is given something else than a name"


def _composed(choices: list[str]) -> dict[str, Any] | None:
    """The configuration of choices alone, not resolved; None if they do not go together."""
    try:
        config = hydra.compose("train", choices, return_hydra_config=True)
    except HydraException:
        return None
    return unresolved(config)


def unresolved(config: DictConfig) -> dict[str, Any]:
    """A configuration as a plain dict, interpolations as they are written."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))


def _wrong_choices(override: Override, groups: Groups) -> Iterator[str]:
    group = override.key_or_group
    options = groups.options(group)
    for value in _values(override):
        if value not in (*options, "null"):
            yield wrong_choice(group, value, options)


def wrong_choice(group: str, name: str, options: Sequence[str]) -> str:
    """One line about a choice that a group does not have."""
    if group.startswith("hydra/") and name in EXTRAS:
        return f"{group}: {name} is missing; pip install 'pixelrnn[{EXTRAS[name]}]'"
    return f"{group}={name}: no such choice; {check.nearest(name, list(options), f'{group}=')}"


def _values(override: Override) -> list[str]:
    """The values of an override as text, those of a sweep one by one."""
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    if override.is_delete() or override.is_sweep_override() or override.value() is None:
        return []
    value = override.value()
    return [str(part) for part in value] if isinstance(value, list) else [str(value)]


def _first(override: Override) -> str:
    """The override with the first of its values; with none if it sweeps over nothing."""
    if not override.is_discrete_sweep():
        return str(override.input_line)
    return f"{override.key_or_group}={next(iter(override.sweep_string_iterator()), '')}"


def _wrong_key(override: Override, config: dict[Any, Any]) -> Iterator[str]:
    if override.is_add() or override.is_force_add() or override.package is not None:
        return
    node: Any = config
    parts = override.key_or_group.replace("/", ".").split(".")
    for index, name in enumerate(parts):
        if not isinstance(node, dict) or name not in node:
            yield _unknown(override, parts, index, node if isinstance(node, dict) else {}, config)
            return
        node = node[name]


def _unknown(
    override: Override, parts: list[str], index: int, node: dict[Any, Any], config: dict[Any, Any]
) -> str:
    """One line about an unknown key: what its constructor takes, the nearest keys, or all.

    Args:
        override: the word.
        parts: names of its key.
        index: of the first name that is unknown.
        node: where that name should be.
        config: the whole.
    """
    key, name = override.key_or_group, parts[index]
    target = node.get("_target_")
    constructor = source_text.constructor(target) if isinstance(target, str) else None
    if constructor is not None and name in constructor.names and name == parts[-1]:
        return f"{key}: not a configured key, but {target} takes it: +{override.input_line}"
    known = [str(other) for other in node if not str(other).startswith("_") and other != "hydra"]
    prefix = "".join(f"{parent}." for parent in parts[:index])
    suffix = "".join(f".{part}" for part in parts[index + 1 :])
    leaves = list(_leaves(config))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    guesses = [prefix + other + suffix for other in near]
    guesses = [guess for guess in guesses if guess in leaves] or [prefix + other for other in near]
    if not guesses and len(parts) == 1:
        guesses = [other for other in leaves if other.endswith(f".{key}")][:3]
    if guesses:
        return f"{key}: no such key; did you mean {' or '.join(guesses)}?"
    if not known:
        return f"{key}: no such key; {prefix.rstrip('.')} has no keys"
    return f"{key}: no such key; choose from {', '.join(prefix + other for other in sorted(known))}"


def _leaves(config: dict[Any, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all keys, those of Hydra left out."""
    for key, node in config.items():
        name = f"{prefix}{key}"
        if name != "hydra":
            yield name
            if isinstance(node, dict):
                yield from _leaves(node, f"{name}.")


def _cut_off(keys: list[Override]) -> Iterator[str]:
    """Keys below one that another word sets to null or deletes."""
    gone = {
        override.key_or_group: override.input_line
        for override in keys
        if override.is_delete() or override.value() is None
    }
    for override in keys:
        for parent, word in gone.items():
            if override.key_or_group.startswith(f"{parent}."):
                yield f"{override.input_line}: {word} leaves no such key; give one of the two"


def of_hydra(error: Exception) -> str:
    """What Hydra says itself, in one line."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if error.options or name in EXTRAS:
            return wrong_choice(group, name, error.options or [])
    text = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
    return text.partition(" full_key: ")[0]
