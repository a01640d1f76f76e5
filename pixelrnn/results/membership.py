"""Which runs belong to which sweep, from the notes that the jobs of a multirun leave.

A run does not own a sweep: one run may be a job of many. Every job writes one note, a JSON file:

    runs/.sweep/<sweep_name, or "unnamed">/<time>-<process>/<job number>.json
    {"job": ["model.layers=1", "seed=0"], "run": "digits-pixelcnn-1a2b3c4d", "state": "finished"}

`run` is the folder's name when it lies directly in the runs folder, which so may be moved, and an
absolute path when it lies elsewhere. A note that still says "started" is of a job that was killed.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pixelrnn import atomic
from pixelrnn.errors import ConfigError

STATES = ("finished", "resumed", "skipped", "failed", "killed")
"""What may have become of a job. A note on disc may also say "started"."""

_FOLDER = ".sweep"
_UNNAMED = "unnamed"


@dataclass
class Note:
    """What became of one job of a multirun.

    Attributes:
        job: the overrides of this job.
        number: the job's number in its multirun, from 0.
        run: the run folder; None as long as it is not known.
        state: "started", or one of `STATES`.
        message: why the job failed.
        type: the class of the error.
    """

    job: list[str] = field(default_factory=list)
    number: int = 0
    run: Path | None = None
    state: str = "started"
    message: str | None = None
    type: str | None = None


def new_folder(root: Path, sweep_name: str | None) -> Path:
    """Name the folder for the notes of a multirun that starts now; nothing is made.

    Args:
        root: the runs folder.
        sweep_name: the sweep's name, if it has one.

    Raises:
        ConfigError: the name cannot be that of a folder.
    """
    name = _UNNAMED if sweep_name is None else sweep_name
    if not name or name != Path(name).name or name.startswith("."):
        raise ConfigError(f"sweep_name={name}: must be a plain name, without / and not hidden")
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    return root.absolute() / _FOLDER / name / stamp


def write(folder: Path, note: Note) -> None:
    """Write the note of a job, in place of its earlier one.

    Args:
        folder: from `new_folder`.
        note: what is known of the job.
    """
    content = asdict(note) | {"run": _stored(note.run, folder.parents[2])}
    content = {key: item for key, item in content.items() if item is not None}
    with atomic.replacing(folder / f"{note.number}.json") as file:
        json.dump(content, file)


def read(folder: Path) -> list[Note]:
    """All notes of a multirun in the order of its jobs; who is still "started" was "killed".

    A damaged note is passed over: it says nothing about any run.
    """
    found = []
    for path in folder.glob("*.json"):
        note = _note(path, folder.parents[2])
        if note is not None:
            if note.state == "started":
                note.state = "killed"
                note.message = note.message or "the same command goes on from here"
            found.append(note)
    return sorted(found, key=lambda note: note.number)


def sweeps(root: Path) -> dict[str, set[str]]:
    """The sweeps of each run: name of its folder in `root` -> names of sweeps.

    Args:
        root: the runs folder.
    """
    found: dict[str, set[str]] = {}
    for path in (root / _FOLDER).glob("*/*/*.json"):
        sweep = path.parts[-3]
        note = None if sweep == _UNNAMED else _note(path, root)
        if note is not None and note.run is not None and note.run.parent == root:
            found.setdefault(note.run.name, set()).add(sweep)
    return found


def _stored(run: Path | None, root: Path) -> str | None:
    if run is None:
        return None
    run = run.absolute()
    return run.name if run.parent == root.absolute() else str(run)


def _note(path: Path, root: Path) -> Note | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        run = content.get("run")
        return Note(
            job=[str(word) for word in content["job"]],
            number=int(path.stem),
            run=None if run is None else root / str(run),
            state=str(content["state"]),
            message=content.get("message"),
            type=content.get("type"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
