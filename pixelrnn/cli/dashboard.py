"""`pixelrnn dashboard sweep=table2`: a W&B workspace for the runs of a sweep. Needs the extra."""

import os
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
        sweep: sweep_name of the runs.
        project: W&B project.
        entity: W&B user or team; None: $WANDB_ENTITY.
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
    view = workspace(sweep, project, entity, collect.varied(runs))
    offline = sum((run.folder / "wandb").is_dir() for run in runs)
    console = Console()
    console.print(f"{sweep}: {len(runs)} runs here, {offline} with W&B files", highlight=False)
    try:
        view.save()
    except Exception as error:  # no key, no network, no such project: wandb raises many types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(
            f"W&B: {reason}; `wandb login`, then `wandb sync {paths['runs']}/*/wandb/offline-run-*`"
        ) from error
    console.print(view.url, highlight=False, soft_wrap=True)
    return view.url


def workspace(sweep: str, project: str, entity: str, varied: list[str]) -> Any:
    """The workspace, not yet saved: panels in sections, filtered by sweep.

    Args:
        sweep: sweep_name of the runs.
        project: W&B project.
        entity: W&B user or team.
        varied: configuration keys to group runs by, so that seeds stand together; none: by label.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise ConfigError("dashboard needs an extra: pip install 'pixelrnn[dashboard]'") from error
    sections = [
        ws.Section(
            name=name,
            is_open=True,
            panels=[reports.LinePlot(title=metric, x="Step", y=[metric]) for metric in metrics],
        )
        for name, metrics in SECTIONS.items()
    ]
    bars = [
        reports.BarPlot(title=f"final {split}", metrics=[f"{split}/bits_per_dim"])
        for split in ("val", "test")
    ]
    pictures = [reports.MediaBrowser(media_keys=["samples"])]
    sections += [
        ws.Section(name="Results", is_open=True, panels=bars),
        ws.Section(name="Samples", is_open=True, panels=pictures),
    ]
    groups = [ws.Config(key) for key in varied or ["label"]]
    runset = ws.RunsetSettings(filters=[ws.Metric("Group") == sweep], groupby=groups)
    return ws.Workspace(
        name=f"pixelrnn {sweep}",
        entity=entity,
        project=project,
        sections=sections,
        runset_settings=runset,
    )
