"""Attention of every position over all earlier ones (of one position: `attention_cache`).

    out[i] = sum over j < i of w[i, j] value[j]
    w[i, .] = softmax over j < i of query[i] . key[j] / sqrt K

A position does not see itself. The first one sees nothing, and gets zeros: a softmax of nothing
has no value, which here is never asked for, so that no NaN can come of it, nor of its gradient.

Axes: `B` batch, `h` heads, `N` positions in order, `K` width of a key, `V` width of a value.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


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
