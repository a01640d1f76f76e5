"""Attention of every position over all earlier ones, for whole images and for one position.

    out[i] = sum over j < i of w[i, j] value[j]
    w[i, .] = softmax over j < i of query[i] . key[j] / sqrt K

A position does not see itself. The first one sees nothing, and gets zeros: a softmax of nothing
has no value, which here is never asked for, so that no NaN can come of it, nor of its gradient.

Axes: `B` batch, `h` heads, `N` positions in order, `K` width of a key, `V` width of a value.
"""

import ctypes
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.native import compiler

SOURCE = Path(__file__).with_suffix(".cpp")
LANES, VALUE_LANES = 16, 8  # as in attention.cpp

Attend = Callable[[Tensor, int], None]
"""A function that is given queries (B, h, K) and how many positions are known."""


def over_earlier(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute the attention of all positions; memory grows with N, not with its square.

    Position i is row i - 1 of the queries from the second one on, and sees the rows up to i - 1 of
    the keys but the last: an attention that includes the diagonal, which libraries have. Their
    kernels want one width, so that the narrower ones are filled up with zeros.

    Args:
        query: (B, h, N, K).
        key: (B, h, N, K).
        value: (B, h, N, V).

    Returns:
        (B, h, N, V).
    """
    widths = query.shape[-1], value.shape[-1]
    wide = max(widths)
    query, key = (F.pad(x, (0, wide - widths[0])) for x in (query[:, :, 1:], key[:, :, :-1]))
    value = F.pad(value[:, :, :-1], (0, wide - widths[1]))
    seen = F.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=1 / math.sqrt(widths[0])
    )
    return F.pad(seen[..., : widths[1]], (0, 0, 1, 0))


def reference(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute what `over_earlier` describes, position by position: slow, and obvious."""
    outputs = [0 * value[:, :, 0]]
    for i in range(1, query.shape[2]):
        scores = torch.einsum("bhk,bhjk->bhj", query[:, :, i], key[:, :, :i])
        weights = (scores / math.sqrt(query.shape[-1])).softmax(-1)
        outputs.append(torch.einsum("bhj,bhjv->bhv", weights, value[:, :, :i]))
    return torch.stack(outputs, dim=2)


def cached(keys: Tensor, values: Tensor, out: Tensor) -> Attend:
    """Bind the attention of one position over a cache of those before it.

    In float32 on a CPU an image's result is the same to the last bit in any batch and on any number
    of threads.

    Args:
        keys: (B, h, K, N); N is a multiple of `LANES`. What lies at positions that are not known
            yet is not used. Images may lie apart, each is contiguous.
        values: (B, h, N, V'), alike; V' is V, rounded up to a multiple of `VALUE_LANES`, and what
            lies beyond V is not used.
        out: (B, h, V), alike; written.

    Returns:
        A function of queries (B, h, K) and the number of positions known, the first ones.
    """
    served = keys.device.type == "cpu" and keys.dtype == torch.float32
    ours = served and compiler.available(SOURCE, "attention at a position is torch's, and slower")
    return (native if ours else plain)(keys, values, out)


def plain(keys: Tensor, values: Tensor, out: Tensor) -> Attend:
    """Return what `cached` describes, by torch, for all devices and dtypes."""
    scale = 1 / math.sqrt(keys.shape[2])

    def attend(query: Tensor, count: int) -> None:
        if count == 0:
            out.zero_()
            return
        scores = (query[:, :, None] @ keys[..., :count]) * scale  # (B, h, 1, count)
        out.copy_((scores.softmax(-1) @ values[:, :, :count, : out.shape[-1]])[:, :, 0])

    return attend


class _Job(ctypes.Structure):
    """The struct Job of attention.cpp."""

    _fields_ = (
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("keys_stride", ctypes.c_int64),
        ("values_stride", ctypes.c_int64),
        ("out_stride", ctypes.c_int64),
        ("images", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("key_width", ctypes.c_int64),
        ("value_room", ctypes.c_int64),
        ("value_width", ctypes.c_int64),
        ("scale", ctypes.c_float),
    )


def native(keys: Tensor, values: Tensor, out: Tensor) -> Attend:
    """Return what `cached` describes, one C++ call: for float32 on CPUs.

    Raises:
        CompilerError: There is no compiler, or it failed.
    """
    run = compiler.library(SOURCE).attend
    run.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    images, heads, key_width, capacity = keys.shape
    room, width = values.shape[-1], out.shape[-1]
    shapes = (images, heads, capacity, rounded(width, VALUE_LANES)), (images, heads, width)
    if (values.shape, out.shape) != shapes or capacity % LANES:
        raise ValueError(f"cache of {tuple(keys.shape)} and {tuple(values.shape)} for {out.shape}")
    job = _Job(
        *(x.data_ptr() for x in (keys, values, out)),
        *(_image_stride(x) for x in (keys, values, out)),
        *(images, heads, capacity, key_width, room, width),
        1 / math.sqrt(key_width),
    )
    address, shape = ctypes.addressof(job), (images, heads, key_width)

    def attend(query: Tensor, count: int) -> None:
        if query.shape != shape or query.dtype != torch.float32 or not 0 <= count <= capacity:
            raise ValueError(f"expected float32 {shape}, got {query.dtype} {tuple(query.shape)}")
        query = query.contiguous()
        run(address, query.data_ptr(), count)

    attend.kept = job, keys, values, out  # type: ignore[attr-defined]  # known by address only
    return attend


def rounded(size: int, multiple: int) -> int:
    """Return the least multiple that is not below a size."""
    return -(-size // multiple) * multiple


def _image_stride(tensor: Tensor) -> int:
    if tensor.dtype != torch.float32 or not all(image.is_contiguous() for image in tensor[:1]):
        raise ValueError("images of a cache must be float32 and contiguous")
    return tensor.stride(0)
