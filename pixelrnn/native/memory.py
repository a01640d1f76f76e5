"""How the process gets memory where large tensors of the same few sizes come again and again."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of mallopt(3)


def reuse_freed_memory() -> bool:
    """Let the C library keep memory that was freed, for the next training step.

    By default glibc asks the kernel for every tensor above 32 MB and gives it back; the kernel then
    fills each page with zeros again, which cost a fifth of a Diagonal BiLSTM step. This affects the
    whole process and cannot be undone (docs/global-state.md).

    Returns:
        Whether it was done: False where the C library is not glibc, and nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    largest = 2**31 - 1
    settings = ((_MMAP_THRESHOLD, largest), (_TRIM_THRESHOLD, largest), (_TOP_PAD, 2**26))
    done = [mallopt(name, value) == 1 for name, value in settings]
    return all(done)
