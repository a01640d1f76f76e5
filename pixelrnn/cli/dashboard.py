"""`pixelrnn dashboard sweep=table2`: a W&B workspace for the runs of a sweep. Needs the extra."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.results import collect

SECTIONS = {
    "Likelihood": ("val/bits_per_dim", "val/nll", "train/bits_per_dim", "train/nll"),
    "Optimisation": ("train/learning_rate", "train/grad_norm", "train/images_per_second"),
}


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(dashboard, argv)


def dashboard(
    *,
    sweep: str,
    project: str = "pixelrnn",
    entity: str | None = None,
    paths: dict[str, str],
) -> str:
    """Make a workspace: panels of a sweep's runs, grouped by what they compute.

    Args:
        sweep: name of the sweep.
        project: W&B project.
        entity: W&B user or team; null: $WANDB_ENTITY.
        paths: roots of runs and data.

    Returns:
        Its address.

    Raises:
        ConfigError: the extra is not installed, or no entity is known.
        RunError: W&B cannot be reached, or refuses.
    """
    entity = entity or os.environ.get("WANDB_ENTITY")
    if not entity:
        raise ConfigError("entity: whose workspace? Give entity=... or set WANDB_ENTITY")
    runs = [run for run in collect.scan(Path(paths["runs"])) if sweep in run.sweeps]
    ids = [run.results.get("wandb_id") or run.folder.name for run in runs]
    view = workspace(sweep, project, entity, collect.varied(runs), ids)
    offline = sum((run.folder / "wandb").is_dir() for run in runs)
    console = Console()
    console.print(f"{sweep}: {len(runs)} runs here, {offline} with W&B files", highlight=False)
    try:
        view.save()
    except Exception as error:  # no key, no network, no such project: wandb raises many types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(
            f"W&B: {reason}; `wandb login`, then `pixelrnn sync paths.runs={paths['runs']}`"
        ) from error
    console.print(view.url, highlight=False, soft_wrap=True)
    return view.url


def workspace(
    sweep: str, project: str, entity: str, varied: Sequence[str], ids: Sequence[str] = ()
) -> Any:
    """The workspace, not yet saved: panels in sections, for the runs of a sweep.

    A run belongs to one group of W&B, but may be a job of several sweeps: so the runs that are
    known here are chosen by their ids. Without any, the group of the sweep's name is.

    Args:
        sweep: the sweep's name.
        project: W&B project.
        entity: W&B user or team.
        varied: configuration keys to group runs by, so that seeds stand together; none: by label.
        ids: of the sweep's runs in W&B.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise ConfigError("dashboard needs an extra: pip install 'pixelrnn[dashboard]'") from error
    chosen = ws.Metric("ID").isin(list(ids)) if ids else ws.Metric("Group") == sweep
    groups: list[Any] = [ws.Config(key) for key in varied or ["label"]]
    return ws.Workspace(
        name=f"pixelrnn {sweep}",
        entity=entity,
        project=project,
        sections=_sections(),
        runset_settings=ws.RunsetSettings(filters=[chosen], groupby=groups),
    )


def _sections() -> list[Any]:
    """Curves, final results, pictures."""
    import wandb_workspaces.reports.v2 as reports
    import wandb_workspaces.workspaces as ws

    panels: dict[str, list[Any]] = {
        name: [reports.LinePlot(title=metric, x="Step", y=[metric]) for metric in metrics]
        for name, metrics in SECTIONS.items()
    }
    panels["Results"] = [
        reports.BarPlot(title=f"final {split}", metrics=[f"{split}/bits_per_dim"])
        for split in ("val", "test")
    ]
    panels["Samples"] = [reports.MediaBrowser(media_keys=["samples"])]
    return [ws.Section(name=name, is_open=True, panels=items) for name, items in panels.items()]
