"""`pixelrnn train run=runs/...`: a run again, from the configuration in its own folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixelrnn.arguments import Positive
from pixelrnn.cli import plain_arguments, signatures
from pixelrnn.errors import ConfigError

if TYPE_CHECKING:
    from pixelrnn.training.preparation import PreparedRun


def prepared(argv: list[str]) -> "PreparedRun":
    """The run that a folder's config.yaml describes.

    In its own folder a finished run reports, a half-done one goes on; folder=... trains anew.

    Args:
        argv: all words of the command: the keys of `words`.

    Raises:
        ConfigError: another key was given.
        RunError: no such run, or its configuration names what is not ours to call.
    """
    keys = signatures.keys(words)
    others = [word.partition("=")[0] for word in argv if word.partition("=")[0] not in keys]
    if others:
        raise ConfigError(
            f"{', '.join(others)}: train run=... takes the run's own configuration; "
            f"only {' and '.join(keys[1:])} can be given"
        )
    given = plain_arguments.parsed(words, argv)
    stored, folder = given.pop("run"), given.pop("folder", None)
    from pixelrnn.runs import naming, record, upgrade
    from pixelrnn.training import preparation, trust

    config = record.config(Path(stored))
    trust.check(config, trust.RUNS, f"{stored}/config.yaml")
    moved = naming.moved(upgrade.upgraded(config), folder or stored)
    return preparation.prepare_again(moved | given)


def words(
    *,
    run: str,
    folder: str | None = None,
    resume: Literal["auto", "must", "never"] = "auto",
    threads: Positive | None = None,
) -> dict[str, Any]:
    """What may be said about a stored run: nothing that changes its result.

    Args:
        run: run folder.
        folder: where to train it anew; null: in its own folder.
        resume: auto: go on with a half-done run, or begin; must: never begin; never: never go on.
        threads: CPU threads of this process; null: one for small models, else all cores.
    """
    return {"run": run, "folder": folder, "resume": resume, "threads": threads}
