"""`pixelrnn evaluate run=runs/... split=test`: the exact likelihood of all images of a split."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixelrnn.arguments import Accelerator, Positive, Split
from pixelrnn.cli import data as data_verb
from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError
from pixelrnn.results import shipped
from pixelrnn.runs import record

if TYPE_CHECKING:
    from pixelrnn.data.base import PixelDataModule
    from pixelrnn.models.base import ImageDistribution


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(evaluate, argv)


def evaluate(
    *,
    run: str,
    split: Split = "test",
    data: str | None = None,
    batch_size: Positive | None = None,
    classify: bool = False,
    prior: Literal["train", "uniform"] = "train",
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
    overrides: dict[str, Any],
    paths: dict[str, str],
) -> dict[str, Any]:
    """Print nats per image and bits per dimension of a split, with their standard errors.

    Args:
        run: run folder, a checkpoint, or a .safetensors file.
        split: which images.
        data: a data set, as in `pixelrnn train data=NAME`; null: that of the run.
        batch_size: images computed together; null: as the run did.
        classify: of a class-conditional model: also classify each image by Bayes' rule, and give
            the likelihood of the images without their labels; as long again for each class.
        prior: of the classes in Bayes' rule: how often they occur in training, or all the same.
        accelerator: where to compute.
        threads: of the CPU; null: all cores.
        overrides: a key of the set that `data` names, such as data.binary=true.
        paths: folders of runs and data.

    Returns:
        The metrics, as `training.evaluate.evaluate` and `training.classification.classify` give
        them.

    Raises:
        RunError: there is no such run, or it is damaged.
        ConfigError: this machine has no such accelerator, or the model no classes to classify by;
            or `data` names no set, or one of other images than the model is of.
    """
    record.require(Path(run))
    if overrides and data is None:
        raise ConfigError(f"{', '.join(overrides)}: of which set? Give its name, as data=NAME")

    from rich.console import Console

    from pixelrnn.cli import class_labels, report
    from pixelrnn.training import accelerators, classification, load, process
    from pixelrnn.training.evaluate import evaluate as evaluate_split

    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run)
    if classify and model.classes is None:
        raise ConfigError("classify=true: the model has no classes; leave classify out")
    folder = record.folder_of(Path(run))
    if data is None and Path(run).is_file() and not (folder / "config.yaml").is_file():
        raise ConfigError(f"{run}: stands alone, without its run's data; name them, as data=NAME")
    images = load.load_data(folder) if data is None else _other(data, model, overrides, paths)
    images.eval_batch_size = batch_size or images.eval_batch_size
    class_labels.check_data(model, images)
    metrics = evaluate_split(model, images, split, accelerator, progress=True)
    title = folder.resolve().name if data is None else f"{run} on {data}"
    report.likelihoods(Console(), metrics, title)
    if classify:
        found = classification.classify(model.to(device), images, split, prior, progress=True)
        report.classification(Console(), found, split)
        metrics |= found
    return metrics


def _other(
    name: str, model: "ImageDistribution", overrides: dict[str, Any], paths: dict[str, str]
) -> "PixelDataModule":
    """Another data set than the run's, prepared and loaded, if the model is of such images."""
    root = Path(paths["data"])
    module: PixelDataModule = data_verb.built(name, [shipped.conf()], overrides, root)
    for what, ours, theirs in (
        ("shape", tuple(module.image_shape), tuple(model.image_shape)),
        ("levels", module.levels, model.levels),
    ):
        if ours != theirs:
            raise ConfigError(f"data={name}: {what} {ours}, but the model is of {what} {theirs}")
    module.prepare_data()
    module.setup()
    return module
