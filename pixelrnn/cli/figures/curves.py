"""Learning curves of several runs, or of a sweep."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pixelrnn.cli.figure_keys import Drawing
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.runs import check, record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pixelrnn.results.collect import Run


@dataclass(frozen=True, kw_only=True)
class OfRuns(Drawing):
    """Keys of a figure of several runs.

    Args:
        run: run folders, as words: curves runs/a runs/b.
        sweep: all runs of this sweep.
        paths: roots of runs and data.
        out: path of the picture, which may end in .png, .pdf or .svg; null: figures/KIND.png in
            the folder of a single run, else in the folder of all runs.
        style: background of the picture.
    """

    run: tuple[str, ...] = ()
    sweep: str | None = None
    paths: dict[str, str]

    def default(self, kind: str) -> Path:
        """A place in the folder of the only run, or of all."""
        if len(self.run) == 1 and self.sweep is None:
            return record.folder_of(Path(self.run[0])) / "figures" / f"{kind}.png"
        name = kind if self.sweep is None else f"{kind}-{self.sweep}"
        return Path(self.paths["runs"]) / "figures" / f"{name}.png"

    def target(self, kind: str) -> Path:
        """The path of the picture, after a look at the runs.

        Raises:
            ConfigError: as always, or the runs are not said, or no run is of the sweep.
            RunError: as always, or there is no such run.
        """
        self.runs()
        return super().target(kind)

    def runs(self) -> "list[Run]":
        """The runs, in the order in which they were given; then those of the sweep.

        Raises:
            ConfigError: neither runs nor a sweep are given, or no run is of the sweep.
            RunError: there is no such run.
        """
        from pixelrnn.results import collect

        if not self.run and self.sweep is None:
            raise ConfigError("run: must be given, as runs/a runs/b ..., or sweep=...")
        found = [self._look(Path(word)) for word in dict.fromkeys(self.run)]
        if self.sweep is not None:
            everything = collect.scan(Path(self.paths["runs"]))
            of_sweep = [run for run in everything if self.sweep in run.sweeps]
            if not of_sweep:
                known = sorted({sweep for run in everything for sweep in run.sweeps})
                raise ConfigError(
                    f"sweep={self.sweep}: no run in {self.paths['runs']} is of it; "
                    f"{check.nearest(self.sweep, known, 'sweep=') if known else 'there is none'}"
                )
            given = {run.folder.resolve() for run in found}
            found += [run for run in of_sweep if run.folder.resolve() not in given]
        return found

    @staticmethod
    def _look(path: Path) -> "Run":
        from pixelrnn.results import collect

        record.require(path)
        folder = record.folder_of(path)
        run = collect.look(folder) if folder.is_dir() else None
        if run is None:
            raise record.no_run(path)
        if not run.config:
            raise RunError(f"{path}: {run.message}")
        return run


def curves(
    of: OfRuns,
    *,
    metric: str = "val/bits_per_dim",
    x: Literal["steps", "seconds"] = "steps",
    logarithmic: bool = False,
) -> "Figure":
    """Draw learning curves: a line for each setting, a band over its seeds, a panel for each data.

    Args:
        of: the keys of a figure of several runs.
        metric: a column of metrics.csv, such as train/bits_per_dim.
        x: optimiser steps, or seconds of training, which only finished runs know.
        logarithmic: whether x has a logarithmic scale.

    Raises:
        ConfigError: no run has such a curve.
    """
    from pixelrnn.figures import curves

    runs = of.runs()
    found = curves.lines(runs, metric, x)
    if not found:
        known = sorted(curves.metrics(runs))
        if not known:
            raise ConfigError(f"{runs[0].folder}: no curve is recorded (metrics.csv)")
        if metric not in known:
            nearest = check.nearest(metric, known, "metric=")
            raise ConfigError(f"metric={metric}: no run has such a curve; {nearest}")
        raise ConfigError(f"x={x}: no run is finished, so their times are not known; x=steps")
    name = "" if of.sweep is None else of.sweep
    return curves.figure(found, metric, x, logarithmic=logarithmic, name=name, style=of.style)
