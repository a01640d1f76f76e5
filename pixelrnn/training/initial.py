"""The weights that a training begins with, if `init_from` names some: another run's best.

Only weights are taken. Optimiser, schedule, order of the data and steps begin anew. The hash of the
weights is part of the run's signature; the place they came from is not, and is needed no more once
the run has begun.
"""

from pathlib import Path
from typing import Any

from pixelrnn.errors import ConfigError, RunError
from pixelrnn.models import fingerprint
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import related
from pixelrnn.training import load


def digest(config: dict[str, Any]) -> str | None:
    """The hash of the weights that `init_from` names.

    Args:
        config: of a run, filled.

    Returns:
        Their SHA-256; None without `init_from`.

    Raises:
        RunError: it holds no weights, or is not there and no run that began so tells them.
    """
    if config["init_from"] is None:
        return None
    source = Path(config["init_from"])
    if source.exists():
        return fingerprint.weights_hash(load.load_model(source))
    known = related.initial_weights(config)
    if len(known) == 1:
        return known.pop()
    why = "and several runs began from it" if known else "and no run has begun from it"
    raise RunError(f"init_from={source}: is not there, {why}; give a run, checkpoint or weights")


def fill(model: ImageDistribution, config: dict[str, Any]) -> None:
    """Put the weights that `init_from` names into a new model.

    Args:
        model: of the run.
        config: of the run, with `init_weights`.

    Raises:
        ConfigError: they are of a model that is described otherwise; the text names the arguments.
        RunError: they are gone, or have changed since the run was named.
    """
    if config["init_from"] is None:
        return
    source = load.load_model(config["init_from"])
    differing = fingerprint.differences(source, model)
    if differing:
        named = "; ".join(
            f"{name} is {there} there and {here} here" for name, (there, here) in differing.items()
        )
        raise ConfigError(f"init_from={config['init_from']}: holds another model: {named}")
    if fingerprint.weights_hash(source) != config["init_weights"]:
        raise RunError(
            f"init_from={config['init_from']}: its weights have changed since this run was named; "
            "give the command anew, with init_from, for a run that begins with the new ones"
        )
    model.load_state_dict(source.state_dict())
