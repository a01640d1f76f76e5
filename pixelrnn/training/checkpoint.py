"""Checkpoints: written atomically, checked before they are believed, loaded without pickle code.

A flipped bit in tensor data loads silently, so a SHA-256 stands beside each file. It is written
first and holds the digests of the new and the old file: whenever the process dies, what lies on
disc is either checkpoint, and passes. Of last.ckpt the one before is kept as last-previous.ckpt.
"""

import contextlib
import hashlib
import io
import itertools
import json
import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from pixelrnn import atomic
from pixelrnn.errors import RunError

log = logging.getLogger(__name__)

_RESTORES = "pytorch_lightning.trainer.connectors.checkpoint_connector"
"""The module of Lightning that takes a checkpoint over."""

_OF_A_TRAINING = {
    "optimizer_states": list,
    "lr_schedulers": list,
    "loops": dict,
    "global_step": int,
}
"""What a checkpoint holds beside weights, if training can go on from it."""


LAST, PREVIOUS, BEST = "last.ckpt", "last-previous.ckpt", "best.ckpt"
"""The checkpoints of a run, in the order in which a resume tries them."""


class Keep(NamedTuple):
    """Lightning's `storage_options` of a checkpoint whose older version stays.

    Attributes:
        previous: where the file goes that a new one replaces.
    """

    previous: Path


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's hook for writing and reading checkpoint files."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Keep | None = None
    ) -> None:
        """Serialise to memory, then replace the file at once.

        Args:
            checkpoint: tensors and plain values.
            path: the file.
            storage_options: keeps the present file under another name; None: it is gone.
        """
        path = Path(path)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getbuffer()
        present = _sha256(path) if path.is_file() else None
        with atomic.replacing(path, "wb") as file:
            file.write(content)
            if present is not None and storage_options is not None:
                _keep(path, present, storage_options.previous)
            _write_digests(path, hashlib.sha256(content).hexdigest(), present)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a file that passes its check; see `read`."""
        return read(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a file and its digest."""
        Path(path).unlink(missing_ok=True)
        _digest_file(Path(path)).unlink(missing_ok=True)


def read(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Content of a checkpoint; only tensors and plain values are unpickled.

    Raises:
        RunError: the file is missing, damaged or no checkpoint.
    """
    if path.is_dir():
        raise RunError(f"{path}: is a folder, not a checkpoint; move it away")
    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint")
    digests = _digest_file(path)
    if digests.exists() and _sha256(path).encode() not in _content(digests):
        raise RunError(f"{path}: damaged (its SHA-256 is not the one stored in {digests.name})")
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch raises many types for a file that it cannot read
        reason = str(error).strip().splitlines()[0][:100]
        raise RunError(f"{path}: not a readable checkpoint ({reason})") from error
    if not isinstance(content, dict) or not _are_weights(content.get("state_dict")):
        raise RunError(f"{path}: not a checkpoint of this project (no state_dict)")
    raw = content.get("current_model_state", {})
    if not _are_weights(raw):
        raise RunError(f"{path}: not a checkpoint of this project (current_model_state)")
    for name, weight in itertools.chain(content["state_dict"].items(), raw.items()):
        if isinstance(weight, torch.Tensor) and not bool(torch.isfinite(weight).all()):
            raise RunError(f"{path}: {name} holds values that are not finite")
    return content


class Resume(NamedTuple):
    """Where a half-done run goes on."""

    path: Path
    step: int


def present(run: Path) -> bool:
    """Whether a run folder holds a checkpoint, sound or not."""
    return any((run / "checkpoints" / name).exists() for name in (LAST, PREVIOUS, BEST))


def to_resume(run: Path) -> Resume | None:
    """Find the checkpoint from which a half-done run goes on.

    That is last.ckpt; if it is damaged, the one before it, then best.ckpt, which is said in a
    warning.

    Args:
        run: run folder.

    Returns:
        None if there is none, and training begins.

    Raises:
        RunError: one is there, but none from which training can go on, or a folder is in its place.
    """
    reasons: list[str] = []
    for name in (LAST, PREVIOUS, BEST):
        path = run / "checkpoints" / name
        if path.is_dir():
            raise RunError(f"{path}: is a folder; move it away, a checkpoint goes there")
        if not path.is_file():
            continue
        try:
            step = _resumable(path)
        except RunError as error:
            reasons.append(str(error))
            continue
        if reasons:
            log.warning("%s; going on from %s, which is of step %d", reasons[0], path, step)
        return Resume(path, step)
    if reasons:
        raise RunError("; ".join(reasons) + ". Delete the run folder to train anew")
    return None


@contextlib.contextmanager
def explained(resume: Resume | None) -> Iterator[None]:
    """What Lightning raises while it takes a state over becomes one line that names the file.

    So is found out a file that is whole, but of another model or another version of Lightning.

    Args:
        resume: from `to_resume`.

    Raises:
        RunError: the state could not be taken over; no step was taken.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
        if resume is None or not any(f.f_globals["__name__"] == _RESTORES for f in frames):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise RunError(
            f"{resume.path}: training cannot go on from it ({reason}). Move it away to go on from "
            "an older checkpoint, or delete the run folder to train anew"
        ) from error


def _resumable(path: Path) -> int:
    """Read a checkpoint and see that it holds more than weights; returns its step."""
    content = read(path)
    for key, kind in _OF_A_TRAINING.items():
        if key not in content:
            raise RunError(f"{path}: holds weights only, no {key}: training cannot go on from it")
        if not isinstance(content[key], kind) or not content["optimizer_states"]:
            raise RunError(f"{path}: damaged ({key} is {str(content[key])[:40]})")
    return int(content["global_step"])


def _keep(path: Path, digest: str, previous: Path) -> None:
    """Give the present file a second name, which it keeps when a new one takes its place."""
    present = _sha256(previous) if previous.is_file() else None
    _write_digests(previous, digest, present)
    link = atomic.unfinished_name(previous)
    try:
        os.link(path, link)
    except OSError:  # a file system without links: for a moment the file has the older name only
        os.replace(path, previous)
    else:
        os.replace(link, previous)


def _write_digests(path: Path, new: str, present: str | None) -> None:
    """Allow for the file that is there and for the one that will take its place."""
    with atomic.replacing(_digest_file(path)) as file:
        json.dump([digest for digest in (new, present) if digest is not None], file)


def _are_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _content(digests: Path) -> bytes:
    """What stands in the file of digests; nothing if it is a folder, so that no digest fits."""
    return digests.read_bytes() if digests.is_file() else b""


def _digest_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
