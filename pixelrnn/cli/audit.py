"""`pixelrnn audit run=runs/... split=test`: the reported bits against real ones."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pixelrnn.arguments import Accelerator, Positive, Seed, Split
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record

if TYPE_CHECKING:
    from pixelrnn.compression.audit import Audit

BatchSize = Annotated[int, Field(ge=1, le=1024)]
Samples = Annotated[int, Field(ge=0)]


def main(argv: list[str]) -> int | None:
    """Entry of the verb."""
    return plain_arguments.call(audit, argv)


def audit(
    *,
    run: str,
    split: Split = "test",
    n: Positive | None = None,
    samples: Samples = 200,
    mode: Literal["fast", "portable"] = "fast",
    batch_size: BatchSize = 64,
    codecs: bool = True,
    seed: Seed = 0,
    out: str | None = None,
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> int:
    """Compare the reported likelihood with the size of a real file, and with other codecs.

    Args:
        run: run folder, or a checkpoint file in one.
        split: which images.
        n: how many of them, the first; null: all.
        samples: own samples whose NLL must equal the model's entropy; 0 draws none.
        mode: of the file (see `pixelrnn compress --help`).
        batch_size: images computed together.
        codecs: measure PNG, WebP, and, with the extra "codecs", JPEG-LS and JPEG XL; none of images
            that they do not take, with more than 256 levels or neither 1 nor 3 colours.
        seed: seed of the samples.
        out: calibration plot, a PNG; null: in the run's folder of samples.
        accelerator: where to compute.
        threads: of the CPU; null: all cores.

    Returns:
        0; 1 if the file is larger than the likelihood says, or the samples are not the model's.

    Raises:
        RunError: there is no such run, or it is damaged.
        ConfigError: the split has fewer images, or this machine no such accelerator.
        CompressionError: the model can only be evaluated on whole images.
    """
    record.require(Path(run))

    from pixelrnn import symbols
    from pixelrnn.cli import class_labels, outputs
    from pixelrnn.compression.audit import audited
    from pixelrnn.data.synthetic import SyntheticImages
    from pixelrnn.errors import ConfigError
    from pixelrnn.training import accelerators, load, process

    if samples == 1:
        raise ConfigError("samples=1: one has no standard error; draw at least 2, or 0")
    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run).to(device)
    data = load.load_data(run)
    images = symbols.tensor(data.images(split)[:n].copy())
    if n and len(images) < n:
        raise ConfigError(f"n={n}: the {split} split has {len(images)} images")
    labels = class_labels.of_split(model, data, split, n)
    path = outputs.target(run, out, f"audit-{split}").with_suffix(".png")
    found = audited(
        model,
        images,
        None if labels is None else labels.to(device),
        samples=samples,
        seed=seed,
        mode=mode,
        batch_size=batch_size,
        with_codecs=codecs,
        progress=sys.stderr.isatty(),
    )
    image_set = data.image_set
    truth = image_set.entropy if isinstance(image_set, SyntheticImages) else None
    _show(found, model.image_shape, model.levels, truth, record.folder_of(Path(run)).name)
    with outputs.explained(path):
        found.calibration.plot(path, f"{split}, {found.images} images")
    print(f"calibration: {path}")
    return 0 if found.honest else 1


def _show(
    found: "Audit",
    image_shape: tuple[int, int, int],
    levels: int,
    entropy: float | None,
    title: str,
) -> None:
    """Print the table: one row for each measure, in bits per dimension and per image.

    Args:
        found: what was measured.
        image_shape: (C, H, W).
        levels: values of a sub-pixel.
        entropy: of the data, in nats per image, if it is known.
        title: of the table.
    """
    from rich.console import Console

    from pixelrnn.results import grid

    rows = _rows(found, math.prod(image_shape), levels, entropy)
    console = Console()
    console.print(f"{title}: {found.images} images", style="bold", highlight=False, markup=False)
    columns = (
        grid.Column("measure"),
        grid.Column("bits/dim", number=True),
        grid.Column("bits/image", number=True),
        grid.Column("remark", wraps=True),
    )
    grid.show(console, columns, rows)
    if not found.honest:
        print("the reported likelihood is not real: see the rows of coded bits and own samples")


def _rows(found: "Audit", dims: int, levels: int, entropy: float | None) -> list[list[str]]:
    """Name, bits per dimension, bits per image and remark of each measure."""
    rows: list[list[str]] = []

    def row(name: str, bits: float, error: float | None = None, remark: str = "") -> None:
        shown = f" ± {error / dims:.4f}" if error is not None else ""
        rows.append([name, f"{bits / dims:.4f}{shown}", f"{bits:,.1f}", remark])

    nll, report, n = found.nll, found.report, found.images
    row("NLL by log_prob", nll.value, nll.error)
    more = found.coded - nll.value
    raw_part = f", {report.raw_streams} of {report.streams} streams raw"
    remark = f"{100 * more / nll.value:+.3f} %{raw_part if report.raw_streams else ''}"
    row("coded", found.coded, None, remark)
    if report.labels:
        row("labels", 8 * report.labels / n, None, f"{report.labels} bytes")
    row("headers of the file", 8 * report.fixed / n, None, f"{report.fixed} bytes")
    if found.own_nll and found.own_entropy:
        row(
            "own samples: NLL", found.own_nll.value, found.own_nll.error, f"{found.samples} samples"
        )
        remark = f"{found.agreement:.1f} standard errors of the difference"
        row("own samples: entropy", found.own_entropy.value, found.own_entropy.error, remark)
    if entropy is not None:
        bits = entropy / math.log(2)
        row("entropy of the data", bits, None, f"gap {nll.value - bits:+.2f} bits an image")
    row("raw pixels", dims * (levels - 1).bit_length())
    for name, sizes in found.codecs.items():
        row(f"{name}, a file an image", sizes.files / n)
        row(f"{name}, less a black image's file", sizes.bare / n)
        if sizes.picture is not None:
            row(f"{name}, all as one picture", sizes.picture / n)
    return rows
