"""The CUDA devices: what they are, the same checks as on the CPU, and whether graphs are right.

No device has run this yet.
"""

from collections.abc import Iterator
from functools import partial

import torch

from pixelrnn.doctor import kernels, machine, rungs
from pixelrnn.doctor.finding import Finding, Section, found
from pixelrnn.ops.conv_lstm import graph_choice
from pixelrnn.ops.conv_lstm.graph_choice import Trials
from pixelrnn.ops.conv_lstm.interfaces import Call

DRIVER = "look at `nvidia-smi`: driver and torch's CUDA must fit; trainer.accelerator=cpu goes on"
NO_GRAPHS = "nothing to do: `auto` leaves graphs out here; kernel.name=autograd says so for good"
_GIB = 1024**3


def sections() -> Iterator[Section]:
    """Yield a section for each CUDA device; where there is none, one that says so."""
    if not torch.cuda.is_available():
        built = torch.version.cuda
        text = "none; this torch is built " + (f"for CUDA {built}" if built else "without CUDA")
        yield Section("GPU", [Finding("devices", "note", text, numbers={"cuda": built})])
        return
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        yield Section(f"GPU {index}", list(_findings(device)))


def _findings(device: torch.device) -> Iterator[Finding]:
    yield from found("device", partial(_device, device), DRIVER)
    yield from found("bfloat16", partial(machine.bfloat16, device), "do not train in bfloat16")
    yield from kernels.findings(device)
    yield from graphs(device, graph_choice.Trials(graph_choice.the_trials().recorder, patience=1))


def _device(device: torch.device) -> Iterator[Finding]:
    about = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    capability = f"{about.major}.{about.minor}"
    text = (
        f"{about.name}, capability {capability}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free, "
        f"CUDA {torch.version.cuda}"
    )
    numbers = {
        "name": about.name,
        "capability": capability,
        "free_bytes": free,
        "total_bytes": total,
        "cuda": torch.version.cuda,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
    yield Finding("device", "ok", text, numbers=numbers)


def graphs(device: torch.device, trials: Trials) -> Iterator[Finding]:
    """Yield, for both layers, whether CUDA graphs are right there, and how much faster.

    Graphs that are wrong or slower are no failure: they are not used.
    """
    for layer in ("row", "diagonal"):
        for dtype in (torch.float32, torch.bfloat16):
            name = f"CUDA graphs {layer}"
            yield from found(name, partial(_graphs, name, layer, dtype, device, trials), DRIVER)


def _graphs(
    name: str, layer: str, dtype: torch.dtype, device: torch.device, trials: Trials
) -> Iterator[Finding]:
    short = str(dtype).removeprefix("torch.")
    lines = rungs.line_sizes(layer, 16, 28, 28, 16)
    gates, weight, hidden, cell = (
        (torch.randn(shape) * scale).to(device, dtype).requires_grad_()
        for shape, scale in zip(lines.shapes, (1.0, lines.scale, 1.0, 1.0), strict=True)
    )
    pad, frozen = lines.options
    with torch.enable_grad():
        verdict = trials.verdict(Call(gates, weight, hidden, cell, pad, frozen), "auto")
    numbers = {
        "dtype": short,
        "device": str(device),
        "error": verdict.proof.error,
        "fault": verdict.proof.fault,
        "gain": verdict.gain,
    }
    if verdict.objection:
        yield Finding(name, "note", f"{short:<8}  {verdict.objection}", NO_GRAPHS, numbers)
    else:
        text = f"{short:<8}  error {verdict.proof.error:.0e}  {verdict.gain:5.1f} x autograd: used"
        yield Finding(name, "ok", text, numbers=numbers)
