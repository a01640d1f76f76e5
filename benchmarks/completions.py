"""Completions against those of another checkout of the project, such as an earlier commit.

    git worktree add ../before 6e58cb3
    python -m benchmarks.completions --against ../before [--quick] [--only TEXT] [--out FILE]

The lower half of 8 images is completed 4 times each: 32 completions. Two processes, one for each
checkout, work in turns on one thread; what is compared is the processor's time of each.

At 6e58cb3 `complete` knew of no draws. `pixelrnn complete` walked the draws of one image together,
image by image, which is `image by image` here; from Python one could also repeat the images and
walk all 32 together, which is `all together`. Neither walked a known pixel once for several draws.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.small_models import DRAWS, IMAGES, QUICK, SETTINGS, TOTAL, Setting

MODELS = ("PixelCNN", "RowLSTM", "DiagonalBiLSTM")
HERE = Path(__file__).resolve().parent.parent

WORKER = """
import functools, json, sys, time
import torch
from pixelrnn import models
from pixelrnn.generation.sources import for_images

torch.set_num_threads(1)

@functools.cache
def case(count, kind, shape, levels, hidden, layers):
    torch.manual_seed(0)
    model = getattr(models, kind)(shape, levels=levels, hidden=hidden, layers=layers).eval()
    images = torch.randint(levels, (count, *shape), dtype=torch.uint8)
    known = torch.arange(shape[1])[:, None].expand(shape[1:]) < shape[1] // 2
    return model, images, known

def completed(way, draws, model, images, known):
    generators = for_images(0, len(images) * draws)
    if way == "draws":
        return model.complete(images, known, generator=generators, draws=draws)
    repeated = images.repeat_interleave(draws, dim=0)
    batch = draws if way == "image by image" else len(repeated)
    return model.complete(repeated, known, generator=generators, batch_size=batch)

for line in sys.stdin:
    way, draws, count, kind, shape, *sizes = json.loads(line)
    given = case(count, kind, tuple(shape), *sizes)
    start = time.process_time()
    completed(way, draws, *given)
    print(time.process_time() - start, flush=True)
"""
"""Answers each line of standard input with the seconds that it took."""


@dataclass
class Checkout:
    """A process that completes images with the package of one checkout.

    Args:
        folder: of the checkout.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, way: str, kind: str, setting: Setting) -> float:
        """Processor time of completing all images once."""
        assert self.process.stdin
        assert self.process.stdout
        sizes = (setting.shape, setting.levels, setting.hidden, setting.layers)
        asked = json.dumps([way, DRAWS, IMAGES, kind, *sizes])
        print(asked, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def commit(self) -> str:
        """Name the commit of the checkout."""
        git = ["git", "-C", str(self.folder), "describe", "--always", "--dirty"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def measured(
    kind: str, setting: Setting, here: Checkout, other: Checkout, turns: int
) -> list[dict[str, Any]]:
    """Three rows: this checkout, and the two ways of the other one."""
    there = other.commit()
    ways = {
        "here": (here, "draws"),
        f"{there}, image by image": (other, "image by image"),
        f"{there}, all together": (other, "all together"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, (checkout, way) in ways.items():
            spent = checkout.seconds(way, kind, setting)
            if turn:  # the first one warms up
                seconds[name].append(spent)
    return [
        {
            "model": kind,
            "setting": setting.name,
            "where": name,
            "ms": report.Spread.of([1e3 * second for second in seconds[name]]),
            "of the time here": report.ratios(seconds[name], seconds["here"]),
            "target": ">= 5" if way == "image by image" else "",
        }
        for name, (_, way) in ways.items()
    ]


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], "completions")
    parser.add_argument("--against", type=Path, required=True, help="folder of the other checkout")
    parser.add_argument("--only", default="", help="models whose name holds this text")
    options = parser.parse_args()
    here, other = Checkout(HERE), Checkout(options.against.resolve())
    rows = [
        row
        for setting in (QUICK if options.quick else SETTINGS)
        for kind in MODELS
        if options.only in kind
        for row in measured(kind, setting, here, other, 1 if options.quick else 7)
    ]
    for checkout in (here, other):
        checkout.close()
    title = f"{TOTAL} completions of {IMAGES} images, float32, one thread, in the processor's time"
    report.finish(title, rows, options.out)


if __name__ == "__main__":
    main()
