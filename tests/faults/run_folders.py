"""Files of a run folder that are cut, empty, of another kind, or not files at all."""

import torch

from pixelrnn.training import checkpoint
from pixelrnn.training.checkpoint import AtomicCheckpointIO
from tests.faults.fault import (
    AS_UNDISTURBED,
    CHECKPOINTS_STAY,
    FINISHED,
    HALF_DONE,
    NOTHING_WRITTEN,
    RUN,
    Fault,
    a_file,
    a_folder,
    at,
    binary,
    empty,
    ends_well,
    gone,
    half,
    holding,
    zeros,
)

RERUN = ("train", f"run={RUN}")
EVALUATE = ("evaluate", f"run={RUN}")
SAMPLE = ("sample", f"run={RUN}", "n=2")
CURVES, LAST, BEST = "metrics.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt"
DAMAGED_COPY = f"{RUN}/{CURVES}.damaged"


def with_content(change):
    """Change what a checkpoint holds; its SHA-256 is right afterwards."""

    def changed(path):
        content = checkpoint.read(path)
        change(content)
        AtomicCheckpointIO().save_checkpoint(content, path)

    return changed


def pickled(content):
    """A file that torch wrote, but of something else."""

    def write(path):
        torch.save(content, path)
        path.with_name(f"{path.name}.sha256").unlink()

    return write


def not_a_number(content):
    next(iter(content["state_dict"].values())).fill_(torch.nan)


def cut_in_the_last_row(path):
    path.write_bytes(path.read_bytes()[:-5])


def bomb(levels):
    """YAML in which each line stands for twice the line before."""
    lines = ["a0: &a0 [1, 1]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, levels)]
    return "\n".join(lines)


def both_cut(path):
    half(path)
    half(path.with_name("last-previous.ckpt"))


def _fallback(why, older="checkpoints/last-previous.ckpt"):
    return f"run/{LAST}: {why}; going on from run/{older}, which is of step 4"


_CURVES_LOST = "run/metrics.csv: damaged; … of its first … rows are lost, the others are kept"
_COPY = f"{_CURVES_LOST}; the file as it was is {DAMAGED_COPY}"
_WITH_COPY = ends_well("the run ends as undisturbed; the damaged file stays beside", DAMAGED_COPY)
_WEIGHTS = "run/weights.safetensors holds the weights of the finished run: name that file"
_ANEW = "delete it to evaluate anew"

FAULTS = (
    Fault(
        "`metrics.csv` cut in its last row", at(CURVES, cut_in_the_last_row), _COPY, 0, _WITH_COPY
    ),
    Fault("`metrics.csv` is empty", at(CURVES, empty), _CURVES_LOST, 0, AS_UNDISTURBED),
    Fault("`metrics.csv` is gone", at(CURVES, gone), _CURVES_LOST, 0, AS_UNDISTURBED),
    Fault("`metrics.csv` holds zeros", at(CURVES, zeros), _COPY, 0, _WITH_COPY),
    Fault("`metrics.csv` is binary", at(CURVES, binary), _COPY, 0, _WITH_COPY),
    Fault("text in the column `step`", at(CURVES, holding("step\none\n")), _COPY, 0, _WITH_COPY),
    Fault(
        "`metrics.csv` is a folder",
        at(CURVES, a_folder),
        "pixelrnn: run/metrics.csv: is a folder; move it away, the curves of the run go there",
        2,
        CHECKPOINTS_STAY,
    ),
    Fault(
        "`last.ckpt` is cut",
        at(LAST, half),
        _fallback("damaged (its SHA-256 is not the one stored in last.ckpt.sha256)"),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "`last.ckpt` and the one before it are cut",
        at(LAST, both_cut),
        _fallback("damaged (its SHA-256 is not the one stored in last.ckpt.sha256)", BEST),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "the SHA-256 beside `last.ckpt` is binary",
        at(f"{LAST}.sha256", binary),
        _fallback("damaged (its SHA-256 is not the one stored in last.ckpt.sha256)"),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "`last.ckpt` holds a list",
        at(LAST, pickled([1, 2])),
        _fallback("not a checkpoint of this project (no state_dict)"),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "`last.ckpt` holds no optimiser",
        at(LAST, with_content(lambda content: content.pop("optimizer_states"))),
        _fallback("holds weights only, no optimizer_states: training cannot go on from it"),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "a weight in `last.ckpt` is NaN",
        at(LAST, with_content(not_a_number)),
        _fallback("… holds values that are not finite"),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "the counts in `last.ckpt` are text",
        at(LAST, with_content(lambda content: content.update(global_step="one", loops="none"))),
        _fallback("damaged (loops is none)"),
        0,
        AS_UNDISTURBED,
    ),
    Fault(
        "`last.ckpt` is of another model",
        at(LAST, with_content(lambda c: c.update(state_dict={"model.x": torch.zeros(1)}))),
        f"pixelrnn: run/{LAST}: training cannot go on from it (RuntimeError: …). Move it away to "
        "go on from an older checkpoint, or delete the run folder to train anew",
        2,
        CHECKPOINTS_STAY,
    ),
    Fault(
        "`last.ckpt` is a folder",
        at(LAST, a_folder),
        f"pixelrnn: run/{LAST}: is a folder; move it away, a checkpoint goes there",
        2,
        NOTHING_WRITTEN,
    ),
    Fault(
        "`best.ckpt` is cut",
        at(BEST, half),
        f"pixelrnn: run/{BEST}: damaged (its SHA-256 is not the one stored in best.ckpt.sha256); "
        f"{_WEIGHTS}",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        EVALUATE,
    ),
    Fault(
        "a weight in `best.ckpt` is NaN",
        at(BEST, with_content(not_a_number)),
        f"pixelrnn: run/{BEST}: … holds values that are not finite; {_WEIGHTS}",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        EVALUATE,
    ),
    Fault(
        "`best.ckpt` describes no model",
        at(BEST, with_content(lambda content: content.update(model=5))),
        "pixelrnn: run: holds no description of its model",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        (*EVALUATE, "split=val"),
    ),
    Fault(
        "`config.yaml` is empty",
        at("config.yaml", empty),
        "pixelrnn: run/config.yaml: not a run's configuration",
        2,
        NOTHING_WRITTEN,
    ),
    Fault(
        "`config.yaml` is binary",
        at("config.yaml", binary),
        "pixelrnn: run/config.yaml: not readable (…)",
        2,
        NOTHING_WRITTEN,
        HALF_DONE,
        RERUN,
    ),
    Fault(
        "`config.yaml` is a folder",
        at("config.yaml", a_folder),
        "pixelrnn: run/config.yaml: is a folder; move it away, the configuration of the run "
        "is a file",
        2,
        NOTHING_WRITTEN,
        HALF_DONE,
        RERUN,
    ),
    Fault(
        "`config.yaml` is a list",
        at("config.yaml", holding("[1, 2]")),
        "pixelrnn: run/config.yaml: not a run's configuration",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        (*EVALUATE, "split=val"),
    ),
    Fault(
        "`results.json` is `{}`",
        at("results.json", holding("{}")),
        f"pixelrnn: run/results.json: the record lacks metrics; {_ANEW}",
        2,
        NOTHING_WRITTEN,
        FINISHED,
    ),
    Fault(
        "`results.json` is a list",
        at("results.json", holding("[]")),
        f"pixelrnn: run/results.json: not the record of a run; {_ANEW}",
        2,
        NOTHING_WRITTEN,
        FINISHED,
    ),
    Fault(
        "`results.json` is cut",
        at("results.json", half),
        f"pixelrnn: run/results.json: not readable (…); {_ANEW}",
        2,
        NOTHING_WRITTEN,
        FINISHED,
    ),
    Fault(
        "`results.json` is a folder",
        at("results.json", a_folder),
        "pixelrnn: run/results.json: Is a directory; move it away to evaluate anew",
        2,
        NOTHING_WRITTEN,
        FINISHED,
    ),
    Fault(
        "`environment.json` is a folder",
        at("environment.json", a_folder),
        "pixelrnn: run/environment.json: Is a directory; a file goes there; move the folder away; "
        "the same command goes on from the last checkpoint",
        2,
        CHECKPOINTS_STAY,
    ),
    Fault(
        "`.lock` is a folder",
        at(".lock", a_folder),
        "pixelrnn: …/run/.lock: Is a directory; a file goes there; move the folder away "
        "(the run's folder must be writable)",
        2,
        NOTHING_WRITTEN,
    ),
    Fault(
        "`samples` is a file",
        at("samples", a_file),
        "pixelrnn: run/samples: File exists; a folder goes there; move the file away "
        "(the run's folder must be writable)",
        2,
        NOTHING_WRITTEN,
    ),
    Fault(
        "`samples` is a file, and samples are drawn",
        at("samples", a_file),
        "pixelrnn: run/samples: cannot be written (File exists)",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        SAMPLE,
    ),
)
