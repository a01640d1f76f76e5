"""What a walk over positions consists of, as sampling and coding use it: a part of `rungs.py`.

Axes of the sizes: those of the room where the function stands.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from pixelrnn.doctor.rung import FLOAT32, Rung
from pixelrnn.layers import elu
from pixelrnn.ops import attention_cache, few_rows, gates, row_functions
from pixelrnn.ops.self_check import Function


def rungs() -> Iterator[Rung]:
    """Yield products, what is between them, and attention."""
    yield few_rows_rung()
    yield from row_function_rungs()
    yield attention_rung()


def few_rows_rung() -> Rung:
    """Return the product of few rows, as sampling uses it."""

    def bound(x: Tensor, weight: Tensor) -> Callable[[], object]:
        out = x.new_zeros(len(x), weight.shape[1])
        return partial(few_rows.NativeProduct(weight).add(out, torch.zeros_like(out)), x)

    def run(x: Tensor, weight: Tensor) -> Tensor:
        out = x.new_empty(len(x), weight.shape[1])
        few_rows.NativeProduct(weight).add(out, torch.zeros_like(out))(x)
        return out

    return Rung(
        "few_rows",
        run,
        torch.matmul,
        ((3, 37), (37, 41)),
        ((16, 256), (256, 512)),
        differentiable=False,
        dtypes=(FLOAT32,),
        device="cpu",
        source=few_rows.SOURCE,
        bind=bound,
    )


def row_function_rungs() -> Iterator[Rung]:
    """Yield what a walk over positions does between products."""
    functions: list[tuple[str, Function, Function]] = [("ELU", row_functions.elu, elu.reference)]
    for name, squashed in (("gate", True), ("gate without tanh", False)):
        run = partial(row_functions.gated, squashed=squashed)
        functions.append((name, run, partial(gates.reference, squashed=squashed)))
    for name, function, reference in functions:
        yield Rung(
            f"{name} of few rows",
            function,
            reference,
            ((3, 34),),
            ((16, 256),),
            differentiable=False,
            dtypes=(FLOAT32,),
            device="cpu",
            source=row_functions.SOURCE,
        )


def attention_rung() -> Rung:
    """Return the attention of one position over a cache."""
    known = 13
    return Rung(
        "attention at one position",
        partial(_remembered, attention_cache.NativeCache, known),
        partial(_remembered, attention_cache.PlainCache, known),
        ((known, 2, 2 * (4 + 5)), (2, 2, 4)),
        ((783, 16, 2 * (16 + 32)), (16, 2, 16)),
        differentiable=False,
        dtypes=(FLOAT32,),
        device="cpu",
        source=attention_cache.SOURCE,
        bind=partial(_bound_cache, attention_cache.NativeCache),
        bind_reference=partial(_bound_cache, attention_cache.PlainCache),
    )


def _remembered(
    kind: type[attention_cache.Cache], known: int, content: Tensor, query: Tensor
) -> Tensor:
    attend, out = _filled(kind, content[:known], query)
    attend(query)
    return out


def _bound_cache(
    kind: type[attention_cache.Cache], content: Tensor, query: Tensor
) -> Callable[[], object]:
    return partial(_filled(kind, content, query)[0], query)


def _filled(
    kind: type[attention_cache.Cache], content: Tensor, query: Tensor
) -> tuple[Callable[[Tensor], None], Tensor]:
    """Fill a cache with content (N, B, h * (K + V)); bind the attention of queries (B, h, K)."""
    heads, key_width = query.shape[1:]
    value_width = content.shape[-1] // heads - key_width
    memory = kind.start(query, heads, (key_width, value_width), len(content))
    cache, position = kind(*memory, value_width), torch.empty_like(content[0])
    remember = cache.remember(position)
    for one in content:
        position.copy_(one)
        remember()
    out = query.new_empty(len(query), heads, value_width)
    return cache.attend(slice(None), out), out
