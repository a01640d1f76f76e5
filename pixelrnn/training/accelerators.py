"""Lightning's words for where to compute, and torch's devices."""

import torch

from pixelrnn.arguments import Accelerator
from pixelrnn.errors import ConfigError


def device(accelerator: Accelerator) -> torch.device:
    """The device that Lightning would take for this word.

    Args:
        accelerator: "auto" takes the best there is; "gpu" takes CUDA or Apple's MPS.

    Raises:
        ConfigError: this machine has none.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    wanted = {"auto": ("cuda", "mps", "cpu"), "gpu": ("cuda", "mps")}.get(
        accelerator, (accelerator,)
    )
    for kind in wanted:
        if present.get(kind, False):
            return torch.device(kind)
    there = ", ".join(kind for kind, found in present.items() if found)
    raise ConfigError(f"accelerator={accelerator}: this machine has none; it has {there}")
