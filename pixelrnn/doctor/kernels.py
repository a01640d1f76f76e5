"""Does every implementation compute what its reference does here, and how fast is it?"""

from collections.abc import Iterator
from functools import partial

import torch

from pixelrnn.doctor import rungs
from pixelrnn.doctor.finding import Finding, found
from pixelrnn.doctor.rung import Rung
from pixelrnn.ops import timing

BUILD = "install g++ or clang++, or set CXX; without it the slower rungs are used"
WRONG = (
    "results here are wrong with it: choose kernel.name=reference, and report this page with "
    "`format=json`"
)


def findings(device: torch.device) -> Iterator[Finding]:
    """Yield one finding for each implementation and dtype on a device."""
    for rung in rungs.rungs():
        if rung.device in (None, device.type):
            yield from found(rung.name, partial(_of, rung, device), WRONG)


def _of(rung: Rung, device: torch.device) -> Iterator[Finding]:
    refusal = rung.refusal(device)
    if refusal:
        yield Finding(rung.name, "note", refusal, BUILD)
        return
    for dtype in rung.dtypes:
        short = str(dtype).removeprefix("torch.")
        outcome = rung.outcome(dtype, device)
        text = f"{short:<8}  {outcome.worst:.0e} of {outcome.allowed:.0e}"
        numbers = {
            "dtype": short,
            "device": str(device),
            "errors": outcome.errors,
            "allowed": outcome.allowed,
        }
        if outcome.fault:
            text = f"{short:<8}  WRONG in {outcome.fault}"
            yield Finding(rung.name, "failed", text, WRONG, numbers)
        elif dtype == torch.float32 and rung.large:
            seconds = timing.medians(rung.work(device), 3, timing.wait_for(device))
            gain = seconds["reference"] / seconds["this"]
            numbers |= {"seconds": seconds["this"], "times_reference": gain}
            text += f"{1e3 * seconds['this']:9.2f} ms {gain:6.1f} x"
            yield Finding(rung.name, "ok", text, numbers=numbers)
        else:
            yield Finding(rung.name, "ok", text, numbers=numbers)
