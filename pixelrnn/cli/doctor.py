"""`pixelrnn doctor`: what this machine has, and the proof that its kernels compute right."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pixelrnn.cli import plain_arguments

if TYPE_CHECKING:
    from pixelrnn.doctor.finding import Finding, Section

NEEDS_EXTRA = "needs the extra "
"""How the state of a data set begins that a package ships."""

FETCH = "`pixelrnn data NAME` fetches, verifies and converts one"


def main(argv: list[str]) -> int:
    """Entry of the verb; returns the exit code: 1 if a check failed."""
    passed = plain_arguments.call(doctor, argv)
    return 0 if passed in (None, True) else 1


def doctor(
    *,
    format: Literal["page", "json"] = "page",
    network: bool = True,
    paths: dict[str, str],
) -> bool:
    """Tell what this machine has, and prove what it computes; exit code 1 if a check fails.

    Every kernel is compared with its reference in float64, values and all gradients, and timed;
    on each GPU, too. Folders are tried with locks in two processes. It takes some seconds, more
    where C++ code is built for the first time, and leaves nothing behind.

    Args:
        format: a page to read, or all that is known as JSON.
        network: look whether W&B's server answers; nothing is sent.
        paths: roots of runs and data.

    Returns:
        Whether no check failed.
    """
    from rich.console import Console

    from pixelrnn.doctor import page
    from pixelrnn.training import process

    process.set_up(1)  # the sizes are small: a second thread would wait for the first
    console = Console()
    done = []
    for section in _sections(Path(paths["runs"]), Path(paths["data"]), network):
        done.append(section)
        if format == "page":
            page.show(console, section)
    if format == "json":
        json.dump(page.as_json(done), sys.stdout, indent=2)
        print()
    else:
        page.summary(console, done)
    return not page.failed(done)


def _sections(runs: Path, data: Path, network: bool) -> Iterator["Section"]:
    import torch

    import pixelrnn
    from pixelrnn.doctor import gpu, kernels, machine, places, services
    from pixelrnn.doctor.finding import Section, found

    title = f"pixelrnn {pixelrnn.__version__} on this machine"
    yield Section(title, list(machine.findings()))
    title = "Kernels on the CPU, one thread: error of values and gradients; time, x the reference"
    yield Section(title, list(kernels.findings(torch.device("cpu"))))
    yield from gpu.sections()
    roots = {"runs": str(runs), "data": str(data)}
    yield Section("Folders", list(places.findings(roots)))
    sets = found("data sets", lambda: _data_sets(data), "look at `pixelrnn data`")
    yield Section("Data sets", list(sets))
    yield Section("W&B", list(services.wandb_findings(runs, network)))
    yield Section("Launchers and extras", list(services.extra_findings()))


def _data_sets(root: Path) -> Iterator["Finding"]:
    """Yield which of the shipped data sets are at hand; none has to be."""
    from pixelrnn.cli.data import built, configuration
    from pixelrnn.doctor.finding import Finding
    from pixelrnn.results import conf_files, shipped

    folders = [shipped.conf()]
    names: dict[str, list[str]] = {}
    for name in conf_files.names("data", folders):
        if "???" not in configuration(name, folders, {}, root).values():  # else: a user's own files
            state = built(name, folders, {}, root).image_set.state()
            names.setdefault(state, []).append(name)
    for state, those in names.items():
        numbers = {"state": state, "names": those}
        if state in ("ready", "needs no files"):
            yield Finding(state, "ok", ", ".join(those), numbers=numbers)
        else:
            extra = state.removeprefix(NEEDS_EXTRA)
            advice = FETCH if extra == state else f"pip install 'pixelrnn[{extra}]'"
            yield Finding(state, "note", ", ".join(those), advice, numbers)
