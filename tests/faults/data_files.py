"""What may befall the files of a data set while a run reads them."""

import contextlib
import errno
import os
import shutil
import signal
from pathlib import Path

import numpy as np
from torch.utils.data import get_worker_info

from pixelrnn.cli.main import main
from pixelrnn.data.batches import Labelled
from pixelrnn.training.saving import RunCheckpoints
from tests.faults.fault import NO_RUN, RUN, TRAIN, Fault, Kept, ends_well, metrics

FILE = Path("files/train.npy")
TRAIN_MAPPED = (*TRAIN, "data._target_=tests.faults.mapped_digits.MappedDigits")
WITH_A_WORKER = (*TRAIN_MAPPED, "data.num_workers=1")


def in_mid_run(change, step=5):
    """Change something after so many steps; a worker has loaded some batches ahead."""

    @contextlib.contextmanager
    def made(patch):
        start = RunCheckpoints.on_train_batch_start

        def then(self, trainer, *more):
            if trainer.global_step == step and not Path("changed").exists():
                shutil.copyfile(FILE, "whole.npy")
                Path("changed").touch()
                change(context)
            start(self, trainer, *more)

        with patch.context() as context:
            context.setattr(RunCheckpoints, "on_train_batch_start", then)
            yield

    return made


def cut(patch):
    os.truncate(FILE, 4096)


def written_to(patch):
    """Other images, by a program that keeps the length and the name."""
    images = np.load(FILE)
    with open(FILE, "r+b") as file:
        file.seek(-images.nbytes, os.SEEK_END)
        file.write(bytes(images.nbytes))
    os.utime(FILE, ns=(0, 0))  # clocks of file systems are coarse, and this test is fast


def replaced(patch):
    np.save("other.npy", np.zeros_like(np.load(FILE)))
    os.replace("other.npy", FILE)


def deleted(patch):
    shutil.rmtree(FILE.parent)


def failing(number):
    """The disc no longer answers."""

    def refuse(patch):
        def preadv(*_):
            raise OSError(number, os.strerror(number))

        patch.setattr(os, "preadv", preadv)

    return refuse


@contextlib.contextmanager
def a_worker_is_killed(patch):
    """As the system does when memory does not suffice."""
    get = Labelled.__getitem__

    def killed(self, batch):
        if get_worker_info() and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return get(self, batch)

    with patch.context() as context:
        context.setattr(Labelled, "__getitem__", killed)
        yield


def _goes_on_once_mended(before):
    assert not (RUN / "results.json").exists()
    if Path("whole.npy").exists():
        shutil.copyfile("whole.npy", FILE)
    assert main(list(TRAIN_MAPPED)) == 0
    assert metrics() == metrics(Path(os.environ["UNDISTURBED"]))


MENDED = Kept(
    "what was saved; with the file as it was, the same command ends as undisturbed, to the last "
    "bit",
    _goes_on_once_mended,
)
AS_BEGUN = ends_well("the run ends with the images that it began with, to the last bit")
_FILE = f"pixelrnn: …/{FILE}"
_BACK = "put it back as it was; the same command then goes on"
_THEN = "the same command then goes on"


def _fault(what, change, says, code=2, kept=MENDED, command=TRAIN_MAPPED):
    shown = "the same, its images mapped from `files`"
    if command is WITH_A_WORKER:
        shown += ", with `data.num_workers=1`"
    return Fault(what, change, says, code, kept, NO_RUN, command, shown)


FAULTS = (
    _fault(
        "the images' file is cut in mid-run",
        in_mid_run(cut),
        f"{_FILE}: had … bytes and now has 4,096: it was changed while it was in use; {_BACK}",
    ),
    _fault(
        "the images' file is cut, and a loader process reads it",
        in_mid_run(cut, step=1),
        f"{_FILE}: had … bytes and now has 4,096: it was changed while it was in use; {_BACK}",
        command=WITH_A_WORKER,
    ),
    _fault(
        "other images are written into the file in mid-run",
        in_mid_run(written_to),
        f"{_FILE}: was written to while it was in use, and images may differ from those before; "
        f"{_BACK}",
    ),
    _fault(
        "the images' file is replaced in mid-run",
        in_mid_run(replaced),
        "",
        0,
        AS_BEGUN,
    ),
    _fault(
        "the folder of the images is deleted in mid-run",
        in_mid_run(deleted),
        "",
        0,
        AS_BEGUN,
    ),
    _fault(
        "the images' disc fails in mid-run",
        in_mid_run(failing(errno.EIO)),
        f"{_FILE}: Input/output error; the disc or the network folder fails; look at the system's "
        f"log; {_THEN}",
    ),
    _fault(
        "a process that loads images is killed",
        a_worker_is_killed,
        "pixelrnn: a process that loads images is gone (DataLoader worker …); the system ends "
        "processes when memory does not suffice: lower data.num_workers; the same command goes on "
        "from the last checkpoint",
        command=WITH_A_WORKER,
    ),
)
