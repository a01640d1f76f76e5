"""Which runs there are, by data set: likelihoods of different data are never ranked together."""

import fnmatch
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pixelrnn.results import collect, progress
from pixelrnn.results.collect import Run
from pixelrnn.results.progress import Progress
from pixelrnn.runs.signature import effective


@dataclass(frozen=True)
class Entry:
    """A run in a list.

    Attributes:
        run: the run.
        progress: how far it is; empty if it is finished.
    """

    run: Run
    progress: Progress

    @property
    def numbers(self) -> dict[str, float]:
        """Final metrics, and the numbers of the record such as steps; empty unless finished."""
        flat: dict[str, Any] = {**self.run.results.get("metrics", {}), **self.run.results}
        return {key: item for key, item in flat.items() if isinstance(item, int | float)}

    @property
    def steps(self) -> str:
        """Steps done, and of how many if the run is not finished."""
        return f"{self.run.results['steps']:,}" if self.run.results else str(self.progress)

    def order(self, by: str) -> tuple[bool, float, str]:
        """Finished runs first, the lowest first; then the others by their last value."""
        value = self.numbers.get(by, self.progress.last.get(by, float("inf")))
        return by not in self.numbers, value, self.run.folder.name


def entry(run: Run) -> Entry:
    """A run with its progress, which is read only if it is not finished."""
    return Entry(run, Progress() if run.results else progress.of(run.folder, run.config))


def names(run: Run, part: str) -> set[str]:
    """All names that the data or the model of a run has: as in conf, of its class, of its images.

    Args:
        run: the run.
        part: "data" or "model".
    """
    data, _, model = run.label.partition("-")
    found = {data if part == "data" else model}
    node = run.config.get(part)
    if isinstance(node, dict):
        found.add(str(node.get("_target_", "")).rpartition(".")[2])
    if part == "data":
        found.add(str(run.results.get("dataset_id", "")))
    return found - {""}


def is_named(run: Run, part: str, pattern: str) -> bool:
    """Whether a name of the run's data or model fits; case and "_" make no difference.

    Args:
        run: the run.
        part: "data" or "model".
        pattern: a name, which may have * and ?.
    """
    return any(fnmatch.fnmatchcase(_bare(name), _bare(pattern)) for name in names(run, part))


def by_data_set(runs: Iterable[Run], by: str) -> dict[str, list[Entry]]:
    """Runs of each data set, the best first.

    A run that is not finished goes with a finished one of the same data, else under the name of
    its data in conf.

    Args:
        runs: in any order.
        by: the metric that ranks.
    """
    runs = list(runs)
    known = {_images(run): _data_set(run) for run in runs if "dataset_id" in run.results}
    groups: dict[str, list[Entry]] = {}
    for run in runs:
        name = run.label.partition("-")[0] or "unknown"
        groups.setdefault(known.get(_images(run), name), []).append(entry(run))
    return {
        name: sorted(entries, key=lambda one: one.order(by))
        for name, entries in sorted(groups.items())
    }


def records(groups: dict[str, list[Entry]], varied: Sequence[str]) -> list[dict[str, Any]]:
    """Everything about each run as flat records, for JSON and CSV.

    Args:
        groups: from `by_data_set`.
        varied: dotted keys of settings to tell.
    """
    found = []
    for data_set, entries in groups.items():
        for one in entries:
            run, settings = one.run, collect.flat(one.run.config)
            found.append(
                {
                    "run": str(run.folder),
                    "state": run.state,
                    "data_set": data_set,
                    "label": run.label,
                    "seed": run.config.get("seed"),
                    "steps": run.results.get("steps", one.progress.steps),
                    "of_steps": run.results.get("steps", one.progress.total),
                    "parameters": run.results.get("parameters"),
                    "training_seconds": run.results.get("training_seconds"),
                    "sweeps": sorted(run.sweeps),
                    "seconds_since_change": round(run.age()),
                    "message": run.message,
                    "settings": {key: settings.get(key) for key in varied},
                    "metrics": run.results.get("metrics", one.progress.last),
                }
            )
    return found


def _images(run: Run) -> str:
    """Equal for runs on the same images; the order and size of batches do not count."""
    node = effective({"data": run.config.get("data")}).get("data")
    if not isinstance(node, dict):
        return run.label.partition("-")[0]
    kept = {key: item for key, item in node.items() if key not in ("batch_size", "seed")}
    return json.dumps([kept, run.config.get("data_content")], sort_keys=True)


def _data_set(run: Run) -> str:
    """The name of a finished run's data; files whose content may change are told by it."""
    content = run.config.get("data_content")
    name = str(run.results["dataset_id"])
    return f"{name} ({str(content)[:8]})" if content else name


def _bare(name: str) -> str:
    return name.lower().replace("_", "")
