"""Speed and memory of one training step: plain layer, reference rung, fast rung, bfloat16.

    python -m benchmarks.train_step [--quick] [--only TEXT] [--device cuda] [--out FILE]

Time is that of forward and backward, without the optimiser. FLOP are counted by formula, two per
multiply-add of the products that the masks and the image leave: taps of causal kernels that lie in
the future, and places outside the image, do not count; colour masks inside a tap do. The fraction
is FLOP per second over those of a square float32 product in the same turn (`report.GEMM_SIZE`).

A plain layer is `pixelrnn.layers.reference`, as the paper reads; the reference rung is the
recurrence alone as a plain loop, between the fast parts of the layer.

Peak memory is what a fresh process grows by in one step; its tensors have pages of their own. On a
GPU it is what torch has allocated for tensors in a step, above what was there before.

On a GPU the fast rung is what `auto` takes, which knows after some steps whether CUDA graphs are
faster; "launched" is the same without graphs. What was taken is in the file, under "kernels".
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import report
from pixelrnn.layers import reference
from pixelrnn.layers.attention import CausalAttention
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.masked_conv import MaskedWeight
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.layers.vertical_stack import FullWidthConv
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from pixelrnn.native.memory import reuse_freed_memory
from pixelrnn.ops import timing
from pixelrnn.ops.conv_lstm import graph_choice
from pixelrnn.ops.conv_lstm.dispatch import KernelName

BATCH = 16
MEMORY_FLAG = "--peak-memory-of"


@dataclass(frozen=True)
class Case:
    """One thing to train: `layers=None` stands for one layer alone, fed with features."""

    model: str
    hidden: int
    layers: int | None
    image: tuple[int, int, int] = (3, 32, 32)
    levels: int = 256

    @property
    def name(self) -> str:
        """Readable, and the handle by which a process of its own finds the case."""
        depth = "layer" if self.layers is None else f"{self.layers} layers"
        return f"{self.model} h={self.hidden} {depth} {'x'.join(map(str, self.image))}"


MODELS = {
    "row_lstm": RowLSTM,
    "diagonal_bilstm": DiagonalBiLSTM,
    "pixelcnn": PixelCNN,
    "gated_pixelcnn": GatedPixelCNN,
    "pixelsnail": PixelSNAIL,
}
RECURRENT = ("row_lstm", "diagonal_bilstm")
CASES = [Case(model, hidden, None) for hidden in (128, 32, 16) for model in RECURRENT]
CASES += [Case(model, 16, 7, (1, 28, 28), 2) for model in MODELS]
CASES += [Case("row_lstm", 128, 12), Case("diagonal_bilstm", 128, 12), Case("pixelcnn", 128, 15)]
CASES += [Case("gated_pixelcnn", 128, 12), Case("pixelsnail", 128, 12)]


def main() -> None:
    options = report.parser(__doc__.splitlines()[0], "train_step")
    report.add_device(options)
    options.add_argument("--only", default="", help="cases whose name holds this text")
    options.add_argument(MEMORY_FLAG, nargs=2, metavar=("CASE", "VARIANT"), help="internal")
    given = options.parse_args()
    if given.peak_memory_of:
        name, variant = given.peak_memory_of
        print(peak_memory(next(case for case in CASES if case.name == name), variant))
        return
    reuse_freed_memory()
    cases = [case for case in CASES if given.only in case.name]
    cases = [case for case in cases if not given.quick or (case.layers or 0) < 12]
    repeats = 3 if given.quick else 7
    rows = [row for case in cases for row in measure(case, repeats, given.device)]
    report.finish(f"One training step, batch {BATCH}, on {given.device}", rows, given.out)


def measure(case: Case, repeats: int, device: torch.device = report.CPU) -> Iterator[dict]:
    """One row of the table per variant."""
    candidates = {"gemm": report.gemm(device)}
    candidates |= {variant: step(case, variant, device) for variant in variants(case, device)}
    if device.type != "cpu":
        for variant in variants(case, device):
            for _ in range(graph_choice.PATIENCE):
                candidates[variant]()
    deep = case.hidden == 128 and case.layers is not None
    times = report.interleave(candidates, 3 if deep else repeats, timing.wait_for(device))
    flop = training_flop(case)
    peaks = {
        variant: _peak_in_new_process(case, variant)
        if device.type == "cpu"
        else _peak_on_gpu(candidates[variant], device)
        for variant in variants(case, device)
    }
    for variant in variants(case, device):
        seconds = times[variant]
        row = {"case": case.name, "variant": variant, "GFLOP": flop / 1e9}
        row["ms"] = report.Spread.of([1e3 * value for value in seconds])
        row["of gemm"] = report.ratios(times["gemm"], seconds, flop / report.GEMM_FLOP)
        if "plain" in times:
            row["x plain"] = report.ratios(times["plain"], seconds)
        if "reference" in times:
            row["x reference"] = report.ratios(times["reference"], seconds)
            row["memory of reference"] = peaks[variant] / peaks["reference"]
        row["x fast"] = report.ratios(times["fast"], seconds)
        row["peak MB"] = peaks[variant] / 1e6
        yield row


def variants(case: Case, device: torch.device = report.CPU) -> list[str]:
    """Deep paper-sized models run without the reference, whose layers take seconds each."""
    if case.model not in RECURRENT:
        return ["fast", "bf16"]
    launched = [] if device.type == "cpu" else ["launched"]
    if (case.layers or 0) >= 12:
        return [*launched, "fast", "bf16"]
    plain = ["plain"] if case.layers is None else []
    return [*plain, "reference", *launched, "fast", "bf16"]


def step(case: Case, variant: str, device: torch.device = report.CPU) -> Callable[[], None]:
    """Forward and backward on fixed random data."""
    torch.manual_seed(0)
    of_variant: dict[str, KernelName] = {"reference": "reference", "launched": "autograd"}
    kernel = of_variant.get(variant, "auto")
    make = _model if case.layers is not None else _plain if variant == "plain" else _layer
    with device:
        network, inputs, loss = make(case, kernel)

    def run() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=variant == "bf16"):
            value = loss(inputs)
        value.backward()
        inputs.grad = None
        network.zero_grad(set_to_none=True)

    return run


def _layer(case: Case, kernel: KernelName) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    colors, height, width = case.image
    settings = LSTMSettings(kernel=kernel)
    layer: RowLSTMLayer | DiagonalBiLSTMLayer
    if case.model == "row_lstm":
        layer = RowLSTMLayer(2 * case.hidden, case.hidden, 3, colors, settings)
    else:
        layer = DiagonalBiLSTMLayer(2 * case.hidden, case.hidden, colors, settings)
    x = torch.randn(height, width, BATCH, 2 * case.hidden, requires_grad=True)
    upstream = torch.randn(height, width, BATCH, case.hidden)
    return layer, x, lambda x: torch.dot(layer(x).float().flatten(), upstream.flatten())


def _plain(case: Case, kernel: KernelName) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    layer, x, _ = _layer(case, kernel)
    upstream = torch.randn(*x.shape[:3], case.hidden)
    run = getattr(reference, case.model)
    return layer, x, lambda x: torch.dot(run(layer, x).float().flatten(), upstream.flatten())


def _model(case: Case, kernel: KernelName) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    options: dict[str, Any] = {"kernel": kernel} if case.model in RECURRENT else {}
    options |= {"hidden": case.hidden, "layers": case.layers}
    model = MODELS[case.model](case.image, case.levels, **options)
    images = torch.randint(case.levels, (BATCH, *case.image), dtype=torch.uint8)
    return model, images, lambda images: -model.log_prob(images).mean()


def training_flop(case: Case) -> float:
    """Two per multiply-add; each product is done three times, but the stem's only twice."""
    colors, height, width = case.image
    h, places = case.hidden, height * width * BATCH
    if case.model not in RECURRENT:
        model, _, _ = _model(case, "auto")
        stem = sum(products(layer) for layer in first_layers(model))
        return places * (6.0 * (products(model) - stem) + 4.0 * stem)
    block = {
        "row_lstm": (2 * 2 * h + 3 * h) * 4 * h,  # input: 2 taps of 2h; state: 3 taps of h
        "diagonal_bilstm": 2 * (2 * h + 2 * h) * 4 * h,  # per direction: 1 tap of 2h, 2 taps of h
    }[case.model]
    if case.layers is None:
        return 6.0 * places * block
    block += h * 2 * h + 2 * h * 2 * h  # up, skip
    head = 1024 if case.levels == 256 else 32
    outputs = colors * (case.levels if case.levels > 2 else 1)
    whole = case.layers * block + 2 * h * head + head * head + head * outputs
    stem = (3 * 7 + 3 + 1) * colors * 2 * h
    return places * (6.0 * whole + 4.0 * stem)


def first_layers(model: nn.Module) -> list[nn.Module]:
    """The convolutions of the image: no gradient of it is computed."""
    if isinstance(model, GatedPixelCNN):
        return [model.get_submodule(name) for name in ("vertical.layers.0.conv", "stem.conv")]
    return [model.get_submodule("stem")]


def products(model: nn.Module) -> float:
    """Multiply-adds of a position: its weights, but those of taps in the future, and attention."""
    count = 0.0
    for module in model.modules():
        if isinstance(module, MaskedWeight):
            kh, kw = module.kernel_size
            seen = kh // 2 * kw + kw // 2 + 1
            count += module.weight[..., 0, 0].numel() * seen
        elif isinstance(module, nn.Linear | FullWidthConv):
            count += module.weight.numel()
        elif isinstance(module, CausalAttention):
            height, width = module.size
            each = module.heads * (module.key_width + module.value_width)
            count += each * (height * width - 1) / 2  # earlier positions, on average
    return count


def peak_memory(case: Case, variant: str) -> int:
    """Bytes by which this process grows in one step (Linux); gradients of the weights included."""
    step(replace(case, hidden=4, layers=case.layers and 1), variant)()  # loads libraries
    run = step(case, variant)
    before = _kilobytes("VmRSS")
    run()
    return (_kilobytes("VmHWM") - before) * 1024


def _peak_on_gpu(run: Callable[[], None], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _kilobytes(field: str) -> int:
    # Not getrusage: its maximum survives exec, so a child would start with its parent's.
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0])


def _peak_in_new_process(case: Case, variant: str) -> int:
    # Each tensor gets pages of its own and gives them back: what is used again in a heap, and how
    # far that has grown before, differs from run to run by a fifth.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-m", "benchmarks.train_step", MEMORY_FLAG, case.name, variant]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout)


if __name__ == "__main__":
    main()
