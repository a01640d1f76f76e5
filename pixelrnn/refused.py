"""What the operating system refuses, in one line that names the file and what to do.

Every such error reaches the user as one line: a full disc, a folder that may not be written, a file
in the place of a folder, too many open files. And what torch says
when memory does not suffice, or when a process that loads images is gone.
"""

import errno
import os
from pathlib import Path

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space of your quota",
    errno.EFBIG: "this file system takes no file of this size",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "allow reading and writing there, or choose another folder",
    errno.EPERM: "allow reading and writing there, or choose another folder",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    errno.ENFILE: "too many files are open on this machine; end other programs",
    errno.EISDIR: "a file goes there; move the folder away",
    errno.ENOTDIR: "a folder goes there; move the file away",
    errno.EEXIST: "a folder goes there; move the file away",
    errno.EIO: "the disc or the network folder fails; look at the system's log",
    errno.ESTALE: "the network folder is gone; mount it again",
    errno.ENAMETOOLONG: "choose a shorter name",
}

_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory", "alloc failed")
"""What torch says in a plain RuntimeError, on a CPU and in libraries of CUDA."""


def by_the_system(error: BaseException) -> bool:
    """Whether an error is of the file system, and no fault of ours or of a network."""
    return (
        isinstance(error, OSError)
        and error.errno is not None
        and not isinstance(error, ConnectionError | TimeoutError)
    )


def line(error: BaseException, path: str | Path | None = None) -> str:
    """The file, what the system says, and what to do.

    Args:
        error: for which `by_the_system` is true.
        path: what was to be written, if the error does not name it.
    """
    assert isinstance(error, OSError)
    # of a rename the second name counts: the first is that of our temporary file
    named = error.filename2 or error.filename or path
    where = f"{os.fsdecode(named)}: " if isinstance(named, str | bytes | Path) else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{error.strerror or error}" + (f"; {remedy}" if remedy else "")


def for_want_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice: Python's, torch's on a CPU or a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def for_want_of_a_worker(error: BaseException) -> bool:
    """Whether an error says that a process which loads images was killed or ended."""
    text = str(error)
    ended = "killed by signal" in text or "exited unexpectedly" in text
    return isinstance(error, RuntimeError) and ended and "DataLoader worker" in text
