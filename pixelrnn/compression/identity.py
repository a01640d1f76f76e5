"""What must be the same where a file is decoded: the model, its weights, and how numbers are made.

Floating-point sums depend on their order, and that on the processor, the libraries and the kernels.
One unit in the last place of one number changes a table and with it all pixels that follow.
"""

import hashlib
import json
import platform
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.models.base import ImageDistribution
from pixelrnn.native import compiler
from pixelrnn.ops import few_rows


def model_hash(model: ImageDistribution) -> str:
    """Half a SHA-256 of a model's description, without weights; of its class if it has none."""
    described = model.description() or {"_target_": type(model).__qualname__}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]


def dtype(model: ImageDistribution) -> str:
    """The precision of the weights, such as "float32"."""
    return str(next(model.parameters()).dtype).removeprefix("torch.")


def environment(model: ImageDistribution) -> dict[str, str]:
    """What decides how this machine rounds, in words, the kernel of products included."""
    weight = next(model.parameters())
    gpu = weight.device.type == "cuda"
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(weight.device) if gpu else weight.device.type,
        "matmul": torch.get_float32_matmul_precision(),
        "products": _products(weight),
    }


def _products(weight: Tensor) -> str:
    """Which kernel multiplies: the library that was built for this processor, or torch's."""
    kernel = few_rows.product(torch.zeros(1, 1, dtype=weight.dtype, device=weight.device))
    if isinstance(kernel, few_rows.NativeProduct):
        return Path(compiler.library(few_rows.SOURCE)._name).stem
    return "torch"
