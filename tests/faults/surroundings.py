"""What the machine refuses: a full disc, a folder that is read-only, files, memory, a lock."""

import contextlib
import errno
import gc
import os
import resource
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from pixelrnn import atomic
from pixelrnn.models import CausalModel
from pixelrnn.training import csv_log
from tests.faults.fault import (
    FINISHED,
    GOES_ON,
    NO_RUN,
    NOTHING_WRITTEN,
    RUN,
    TRAIN,
    Fault,
    Kept,
    during,
    ends_well,
    metrics,
)

AGAIN = "the same command goes on from the last checkpoint"


def _failing(number, named):
    """In the place of `os.fsync`: the disc refuses the file that has this in its name."""

    def by(fsync):
        def refuse(descriptor):
            if named in os.readlink(f"/proc/self/fd/{descriptor}"):
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        return refuse

    return by


def full(named):
    """The disc is full when this file is written."""
    return during("os.fsync", _failing(errno.ENOSPC, named))


class _FullFile:
    """A file on a disc without space."""

    def __init__(self, path, mode):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def curves_on_a_full_disc(patch):
    with patch.context() as context:
        context.setattr(csv_log, "open", lambda *path, **_: _FullFile(*path), raising=False)
        yield


def _read_only(mkdir):
    def refuse(self, *more, **options):
        if self.name in (RUN.name, "checkpoints"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        mkdir(self, *more, **options)

    return refuse


@contextlib.contextmanager
def no_more_files(patch):
    """Descriptors run out when training begins."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    start = CausalModel._log_prob

    def limited(self, *more):
        gc.collect()  # files of earlier runs are not to be closed, and their numbers free, later
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        return start(self, *more)

    try:
        with patch.context() as context:
            context.setattr(CausalModel, "_log_prob", limited)
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def another_process(patch):
    with FileLock(Path(RUN, ".lock").absolute(), is_singleton=False):
        yield


def memory_for(most, error):
    """Memory suffices for so many training images at once."""

    def by(log_prob):
        def limited(self, images, *more):
            if torch.is_grad_enabled() and len(images) > most:
                raise error
            return log_prob(self, images, *more)

        return limited

    return during("pixelrnn.models.CausalModel._log_prob", by)


def _nearly(before):
    expected = metrics(Path(os.environ["UNDISTURBED"]))["val/nll"]
    assert metrics()["val/nll"] == pytest.approx(expected, rel=1e-5)


def _by_a_year(clock):
    return lambda: clock() - 365 * 24 * 3600


_ON_CPU = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
_ON_GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
_NO_SPACE = "No space left on device; free some space"

FAULTS = (
    *(
        Fault(
            f"the disc is full when `{name}` is written",
            full(f"/.{Path(name).name}.{atomic.host()}"),
            f"pixelrnn: run/{name}: {_NO_SPACE}; {AGAIN}",
            2,
            GOES_ON,
        )
        for name in (
            "config.yaml",
            "checkpoints/last.ckpt",
            "checkpoints/best.ckpt",
            "samples/final.png",
            "results.json",
        )
    ),
    Fault(
        "the disc is full when `metrics.csv` grows",
        curves_on_a_full_disc,
        f"pixelrnn: run/metrics.csv: {_NO_SPACE}; {AGAIN}",
        2,
        GOES_ON,
    ),
    Fault(
        "the disc is full when samples are saved",
        full(".some."),
        "pixelrnn: some.npy: cannot be written (No space left on device)",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        ("sample", f"run={RUN}", "n=2", "out=some"),
    ),
    Fault(
        "the disc fails when `last.ckpt` is written",
        during("os.fsync", _failing(errno.EIO, f"/.last.ckpt.{atomic.host()}")),
        "pixelrnn: run/checkpoints/last.ckpt: Input/output error; the disc or the network folder "
        f"fails; look at the system's log; {AGAIN}",
        2,
        GOES_ON,
    ),
    Fault(
        "the folder of the run is read-only",
        during("pathlib.Path.mkdir", _read_only),
        "pixelrnn: run: Read-only file system; the file system is read-only; choose another folder "
        "(the run's folder must be writable)",
        2,
        NOTHING_WRITTEN,
        NO_RUN,
    ),
    Fault(
        "no more files may be opened",
        no_more_files,
        f"pixelrnn: …Too many open files; allow more open files: ulimit -n 4096; {AGAIN}",
        2,
        GOES_ON,
    ),
    Fault(
        "another process trains the same run",
        another_process,
        "pixelrnn: run: another process is training this run",
        2,
        NOTHING_WRITTEN,
    ),
    Fault(
        "memory does not suffice (CPU)",
        memory_for(64, _ON_CPU),
        "pixelrnn: out of memory (DefaultCPUAllocator: …): lower data.batch_size=128, or set "
        "on_out_of_memory=halve, which computes the same batch in parts, or "
        "model.checkpoint_layers=true, which computes layers twice, or, in a validation, "
        f"choose a small data.eval_batch_size, such as 8. {AGAIN.capitalize()}, also with these "
        "keys",
        2,
        GOES_ON,
    ),
    Fault(
        "memory does not suffice (GPU), `on_out_of_memory=halve`",
        memory_for(40, _ON_GPU),
        "pixelrnn: the memory does not suffice for a whole batch at step 7: from here on each is "
        "computed in 4 parts, with the gradient of the whole",
        0,
        Kept("the run ends as undisturbed, up to rounding", _nearly),
        command=(*TRAIN, "on_out_of_memory=halve"),
    ),
    Fault(
        "memory does not suffice while samples are drawn",
        during("pixelrnn.cli.outputs.target", lambda _: lambda *a: (_ for _ in ()).throw(_ON_GPU)),
        "pixelrnn: sample: out of memory; a smaller batch_size, fewer images or other programs "
        "ended may help",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        ("sample", f"run={RUN}", "n=2"),
    ),
    Fault(
        "the clock goes back by a year",
        during("time.time", _by_a_year),
        "pixelrnn: resuming from step 7 of run/checkpoints/last.ckpt",
        0,
        ends_well("the run ends as if nothing had happened, to the last bit"),
    ),
)
