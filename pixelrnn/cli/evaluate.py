"""`pixelrnn evaluate run=runs/... split=test`: the exact likelihood of all images of a split."""

from pathlib import Path
from typing import Any, Literal

from pixelrnn.arguments import Accelerator, Positive, Split
from pixelrnn.cli import plain_arguments
from pixelrnn.runs import record


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(evaluate, argv)


def evaluate(
    *,
    run: str,
    split: Split = "test",
    batch_size: Positive | None = None,
    classify: bool = False,
    prior: Literal["train", "uniform"] = "train",
    accelerator: Accelerator = "cpu",
    threads: Positive | None = None,
) -> dict[str, Any]:
    """Print nats per image and bits per dimension of a split, with their standard errors.

    Args:
        run: run folder, or a checkpoint file in one.
        split: which images.
        batch_size: images computed together; null: as the run did.
        classify: of a class-conditional model: also classify each image by Bayes' rule, and give
            the likelihood of the images without their labels; as long again for each class.
        prior: of the classes in Bayes' rule: how often they occur in training, or all the same.
        accelerator: where to compute.
        threads: of the CPU; null: all cores.

    Returns:
        The metrics, as `training.evaluate.evaluate` and `training.classification.classify` give
        them.

    Raises:
        RunError: there is no such run, or it is damaged.
        ConfigError: this machine has no such accelerator, or the model no classes to classify by.
    """
    record.require(Path(run))

    from rich.console import Console

    from pixelrnn.cli import class_labels, report
    from pixelrnn.errors import ConfigError
    from pixelrnn.training import accelerators, classification, load, process
    from pixelrnn.training.evaluate import evaluate as evaluate_split

    device = accelerators.device(accelerator)
    process.set_up(threads)
    model = load.load_model(run)
    if classify and model.classes is None:
        raise ConfigError("classify=true: the model has no classes; leave classify out")
    folder = record.folder_of(Path(run))
    data = load.load_data(folder)
    data.eval_batch_size = batch_size or data.eval_batch_size
    class_labels.check_data(model, data)
    metrics = evaluate_split(model, data, split, accelerator, progress=True)
    report.likelihoods(Console(), metrics, folder.name)
    if classify:
        found = classification.classify(model.to(device), data, split, prior, progress=True)
        report.classification(Console(), found, split)
        metrics |= found
    return metrics
