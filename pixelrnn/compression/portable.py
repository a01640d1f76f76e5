"""Portable mode: the same bits on every CPU, whatever its instructions, threads or libraries.

Of floating-point operations, +, -, *, / and rounding of single numbers are the same everywhere
(IEEE 754). What differs is the order of sums, and how exp, tanh and the like are computed. So here

- a product rounds its factors to a grid so coarse that every partial sum is a whole number below
  2^53 times a power of two: exact in float64, whatever the order;
- exp is a look-up and a polynomial of single operations, log another, and the other functions
  follow from them;
- an operation that is not known to be exact is refused.

A copy of the model computes in float64 on the CPU, watched by a `TorchFunctionMode`: models need
not know of it. Inputs of products are rounded to 2^-14 and kept within 128: a model with larger
activations takes more bits, and is decoded as well. What an image gets does not depend on its
batch.
"""

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pixelrnn.errors import CompressionError
from pixelrnn.ops.conv_lstm import single_position

_NAMES = """
abs __add__ add add_ all amax __and__ any arange argmax argsort __bool__ cat chunk clamp clone
contiguous copy_ cpu data_ptr detach dim div double element_size embedding empty_like __eq__ eq
expand expand_as fill_ flatten flip float floor full_like gather __ge__ ge __get__ __getitem__
__gt__ gt __iadd__ __imul__ index_select __invert__ is_contiguous is_floating_point is_inference
isfinite __isub__ item __le__ le __len__ long __lt__ lt masked_fill masked_fill_ maximum minimum
movedim __mul__ mul mul_ nan_to_num narrow __ne__ ne __neg__ neg new_empty new_full new_ones
new_tensor new_zeros numel numpy ones_like __or__ pad permute promote_types __radd__ relu
remainder repeat repeat_interleave reshape __rmul__ round __rsub__ rsub scatter_add_ select
__set__ _set_grad_enabled __setitem__ size split squeeze stack stride __sub__ sub sub_ t tensor
to tolist transpose __truediv__ truediv type unbind unflatten unfold unsqueeze view where zero_
zeros zeros_like
"""
_EXACT = frozenset(_NAMES.split())
"""Operations, by name, that compute single numbers by one rounding, or nothing at all."""

_STEP = 14  # inputs of products are multiples of 2^-14
_LARGEST = 7  # and at most 2^7
_SUM_STEP = 30


class Portable(TorchFunctionMode):
    """While entered, every torch operation is exact, or refused.

    Raises:
        CompressionError: the model uses an operation that is not known to be exact.
    """

    def __init__(self) -> None:
        super().__init__()
        self._grids: dict[int, tuple[Tensor, Tensor, float]] = {}
        self._token: Any = None

    def __enter__(self) -> "Portable":
        self._token = single_position.TORCH_ONLY.set(True)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        single_position.TORCH_ONLY.reset(self._token)
        self._grids.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Compute an operation by its exact twin."""
        name, kwargs = func.__name__, kwargs or {}
        if name in ("addmm", "matmul", "__matmul__", "mm", "linear"):
            return self._product(name, *args, **kwargs)
        plain = name.rstrip("_") if not name.startswith("__") else name
        if plain in _TWINS:
            found = _TWINS[plain](*args, **kwargs)
            return args[0].copy_(found) if name != plain else found
        if name not in _EXACT or kwargs.get("alpha", 1) != 1:
            raise CompressionError(f"portable mode cannot compute {name}: use mode=fast")
        return func(*args, **kwargs)

    def _product(self, name: str, *args: Tensor, out: Tensor | None = None) -> Tensor:
        """X @ weight, in whole numbers; then one addition of what is to be added."""
        first, x, weight = args if name == "addmm" else (None, args[0], args[1])
        if name == "linear":
            weight, first = weight.t(), args[2] if len(args) > 2 else None
        if weight.dim() != 2:
            return _product_of_activations(x, weight)
        if name == "addmm":  # the weight of a layer, which stays as it is during the walk
            known = self._grids.get(id(weight))
            if known is None:
                known = self._grids[id(weight)] = (weight, *_grid(weight))
            _, grid, scale = known
        else:
            grid, scale = _grid(weight)
        whole = x.clamp(-(2.0**_LARGEST), 2.0**_LARGEST).mul_(2.0**_STEP).round_()
        found = (whole @ grid).mul_(scale)
        if first is not None:
            found = found.add_(first)
        return found if out is None else out.copy_(found)


def _grid(weight: Tensor) -> tuple[Tensor, float]:
    """A weight (in, out) in whole numbers, and the scale of products with it."""
    inputs = max(2, weight.shape[0])
    largest = float(weight.abs().max()) if weight.numel() else 0.0
    exponent = math.frexp(largest)[1] if math.isfinite(largest) else 0
    bits = 53 - (_STEP + _LARGEST) - math.ceil(math.log2(inputs)) - exponent
    return (weight * 2.0**bits).round(), 2.0 ** -(bits + _STEP)


def _product_of_activations(x: Tensor, y: Tensor) -> Tensor:
    """X @ y, both within 128, as a sum of up to 512 rounded products; by attention, of weights."""
    x, y = (part.clamp(-(2.0**_LARGEST), 2.0**_LARGEST) for part in (x, y))
    return sum_(x[..., None] * y[..., None, :, :], dim=-2)


_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_PARTS = 10  # exp looks up the powers of 2 in steps of 2^-10


@lru_cache
def _powers() -> Tensor:
    """2^(j / 2^10) for every j below 2^10, by decimals: each the nearest float64, anywhere."""
    with decimal.localcontext() as context:
        context.prec = 40
        step = Decimal(2).ln() / 2**_PARTS
        return torch.tensor(
            [float((step * j).exp()) for j in range(2**_PARTS)], dtype=torch.float64
        )


def exp(x: Tensor) -> Tensor:
    """e^x within 1e-15 of itself for |x| <= 700; x is kept in there.

    e^x = 2^n 2^(j / 2^10) e^rest, whose rest is at most 4e-4: three terms of its series are enough.
    """
    rest = x.clamp(-700.0, 700.0)
    steps = (rest * (2**_PARTS / math.log(2))).round_()
    rest.sub_(steps * (_LN2_HIGH / 2**_PARTS)).sub_(steps * (_LN2_LOW / 2**_PARTS))
    y = (rest * (1 / 6)).add_(0.5).mul_(rest).add_(1.0).mul_(rest).add_(1.0)
    count = steps.long()
    y.mul_(_powers().take(count & (2**_PARTS - 1)))
    power = ((count >> _PARTS).add_(1023) << 52).view(torch.float64)  # 2^n
    return y.mul_(power)


def expm1(x: Tensor) -> Tensor:
    """e^x - 1, within 1e-15 (absolute; torch's is within that of itself)."""
    return exp(x) - 1


def log(x: Tensor) -> Tensor:
    """Natural logarithm of x >= 1e-300, by 2 artanh((m - 1) / (m + 1)) of its mantissa m."""
    mantissa, exponent = torch.frexp(x.clamp(min=1e-300))
    small = mantissa < math.sqrt(0.5)
    mantissa = torch.where(small, mantissa * 2, mantissa)
    power = exponent.double() - small.double()
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    y = torch.full_like(ratio, 1 / 23)
    for k in range(21, 0, -2):
        y = y * square
        y = y + 1 / k
    return (ratio * y) * 2 + (power * _LN2_LOW + power * _LN2_HIGH)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return 1 / exp(-x).add_(1)


def tanh(x: Tensor) -> Tensor:
    """(1 - e^-2|x|) / (1 + e^-2|x|), with the sign of x."""
    small = exp(x.abs().mul_(-2))
    return (1 - small).div_(small.add_(1)).copysign_(x)


def log_sigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + e^-x))."""
    return x.clamp(max=0.0) - log(exp(-x.abs()) + 1)


def log_softmax(x: Tensor, dim: int = -1, **options: Any) -> Tensor:
    """X - log(sum of e^x)."""
    shifted = x - x.amax(dim, keepdim=True)
    return shifted - log(sum_(exp(shifted), dim, keepdim=True))


def softmax(x: Tensor, dim: int = -1, **options: Any) -> Tensor:
    """e^x / sum of e^x."""
    y = exp(x - x.amax(dim, keepdim=True))
    return y / sum_(y, dim, keepdim=True)


def logsumexp(x: Tensor, dim: Any = -1, keepdim: bool = False) -> Tensor:
    """log(sum of e^x)."""
    largest = x.amax(dim, keepdim=True).clamp(min=-1e300)
    total = log(sum_(exp(x - largest), dim, keepdim=True)) + largest
    return total if keepdim else total.squeeze(dim)


def sum_(x: Tensor, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
    """Sum of integers, or of numbers that are rounded to 2^-30 first."""
    if not x.is_floating_point():
        return x.sum(dim, keepdim, **options)
    return (x * 2.0**_SUM_STEP).round().sum(dim, keepdim) * 2.0**-_SUM_STEP


def addcmul(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """X + a b, in two operations, which no machine makes one of."""
    return x + a * b


_TWINS: dict[str, Callable[..., Tensor]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "log_sigmoid": log_sigmoid,
    "logsigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "softmax": softmax,
    "logsumexp": logsumexp,
    "sum": sum_,
    "addcmul": addcmul,
}
