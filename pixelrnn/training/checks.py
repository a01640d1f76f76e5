"""Refuses combinations of settings that would train and then lose or change the result.

Called before a run writes anything. Each refusal is one line that names the key and what to do.
"""

from pathlib import Path
from typing import Any

from pixelrnn import redaction
from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.sampler import BatchOrder
from pixelrnn.data.synthetic import SyntheticImages
from pixelrnn.errors import ConfigError
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import check
from pixelrnn.training import process

_SAVING = "pixelrnn.training.saving.RunCheckpoints"
_OURS = ("pixelrnn.", "pytorch_lightning.", "lightning.")

Node = dict[str, Any]


def check_settings(config: dict[str, Any], data: PixelDataModule) -> None:
    """Check callbacks, loggers and schedule against each other and the data.

    Args:
        config: of a run, filled; its `folder` is the run's.
        data: its data module.

    Raises:
        ConfigError: what is set cannot work, or would not do what it seems to say.
    """
    secret = list(redaction.named(config))
    if secret:
        raise ConfigError(
            f"{', '.join(secret)}: looks like a password or a key, and config.yaml would keep it; "
            "leave it out, and give W&B its key by `wandb login` or WANDB_API_KEY"
        )
    callbacks = {name: node for name, node in config["callbacks"].items() if node}
    for name, node in callbacks.items():
        _check_target(f"callbacks.{name}", node)
    _check_checkpoints(callbacks, Path(config["folder"]))
    _check_monitors(callbacks, data)
    _check_end(config)
    _check_halving(config)
    for name, node in config["logger"].items():
        if node and node.get("log_model"):
            raise ConfigError(
                f"logger.{name}.log_model={node['log_model']}: the run's checkpoints are not sent "
                "to W&B; leave it out, and send what `checkpoints` holds when the run is done"
            )


def check_limits(config: dict[str, Any], data: PixelDataModule, images: int) -> None:
    """Check the limits of the Trainer that depend on the number of batches.

    Args:
        config: of a run, filled.
        data: its data module.
        images: of a training epoch.

    Raises:
        ConfigError: a limit leaves no batch, or asks for a validation after more than there are.
    """
    trainer = config["trainer"]
    batches = whole = len(BatchOrder(images, data.batch_size, seed=0))
    limit = trainer.get("limit_train_batches")
    if limit is not None:
        batches = int(whole * limit) if isinstance(limit, float) else min(whole, limit)
    if not batches:
        raise ConfigError(
            f"trainer.limit_train_batches={limit}: is less than one of the {whole:,} batches of an "
            "epoch; give a larger share, or a number of batches"
        )
    every = trainer.get("val_check_interval")
    validates = "val" in data.splits and trainer.get("limit_val_batches") != 0
    by_epoch = trainer.get("check_val_every_n_epoch", 1) is not None
    if isinstance(every, int) and every > batches and validates and by_epoch:
        raise ConfigError(
            f"trainer.val_check_interval={every}: an epoch has {batches:,} batches; give at most "
            "that, or trainer.check_val_every_n_epoch=null, which counts on over epochs"
        )


def advise(model: ImageDistribution, data: PixelDataModule) -> None:
    """Tell the user of a setting that works, and is hardly what is wanted."""
    if model.ordered and not data.image_set.pictured:
        process.say(
            "the data are codes, which have no order, and the model takes them for shades: "
            "model.embed=64 gives each a learnt vector of 64 features"
        )


def _check_target(key: str, node: Any) -> None:
    if isinstance(node, dict) and "_target_" in node:
        return
    hint = ""
    if key == "callbacks.checkpoint":
        hint = (
            "; a run always keeps its best and its last state, and only "
            "callbacks.checkpoints.every_minutes can be set; a further ModelCheckpoint needs a "
            "name, a _target_ and a dirpath of its own"
        )
    raise ConfigError(f"{key}={node}: has no _target_, so it is no callback{hint}")


def _check_checkpoints(callbacks: dict[str, Node], folder: Path) -> None:
    """The checkpoints that the record needs are written, and by nobody else."""
    saving = callbacks.get("checkpoints", {})
    if saving.get("_target_") != _SAVING:
        raise ConfigError(
            "callbacks.checkpoints: a run needs its checkpoints to resume and to report; leave "
            "this callback as it is"
        )
    expected = folder / "checkpoints"
    if Path(saving["folder"]) != expected:
        raise ConfigError(
            f"callbacks.checkpoints.folder={saving['folder']}: the run looks for its checkpoints "
            f"in {expected}; leave the key out, or set folder=..."
        )
    for name, node in callbacks.items():
        if not node["_target_"].endswith(".ModelCheckpoint"):
            continue
        elsewhere = node.get("dirpath") and Path(node["dirpath"]) != expected
        if not elsewhere:
            raise ConfigError(
                f"callbacks.{name}.dirpath={node.get('dirpath')}: {expected} holds best.ckpt and "
                "last.ckpt of the run; give this ModelCheckpoint a dirpath of its own"
            )


def _check_monitors(callbacks: dict[str, Node], data: PixelDataModule) -> None:
    """What is monitored is measured. Callbacks from elsewhere may measure more than we know of."""
    monitors = {name: node["monitor"] for name, node in callbacks.items() if node.get("monitor")}
    if "val" not in data.splits:
        unmeasured = [name for name, what in monitors.items() if str(what).startswith("val/")]
        if unmeasured:
            raise ConfigError(
                f"{data.dataset_id} has no validation split: set "
                + " ".join(f"callbacks.{name}=null" for name in unmeasured)
            )
    if not all(node["_target_"].startswith(_OURS) for node in callbacks.values()):
        return
    measured = _measured(callbacks, data)
    for name, what in monitors.items():
        if what not in measured:
            raise ConfigError(
                f"callbacks.{name}.monitor={what}: is not measured; "
                f"{check.nearest(str(what), measured)}"
            )


def _measured(callbacks: dict[str, Node], data: PixelDataModule) -> list[str]:
    training = ["train/bits_per_dim", "train/nll", "train/grad_norm", "train/images_per_second"]
    if "val" not in data.splits:
        return training
    names = ["bits_per_dim", "nll"]
    gap = any(node["_target_"].endswith(".EntropyGap") for node in callbacks.values())
    if gap and isinstance(data.image_set, SyntheticImages):
        names += ["gap", "regret"]
    return training + [f"val/{name}{error}" for name in names for error in ("", "_stderr")]


def _check_end(config: dict[str, Any]) -> None:
    """A schedule that ends needs a training that ends."""
    trainer, schedule = config["trainer"], config["scheduler"] or {}
    endless = trainer.get("max_epochs") == -1 and trainer.get("max_steps", -1) == -1
    if endless and schedule.get("_target_") == "pixelrnn.training.schedules.cosine":
        raise ConfigError(
            "trainer.max_epochs=-1: scheduler=cosine needs an end; set trainer.max_epochs or "
            "trainer.max_steps, or take scheduler=constant"
        )


def _check_halving(config: dict[str, Any]) -> None:
    """Half precision needs its loss scaled before the gradient, which parts do not know."""
    precision = str(config["trainer"].get("precision"))
    if config["on_out_of_memory"] == "halve" and precision in ("16", "16-mixed", "16-true"):
        raise ConfigError(
            f"on_out_of_memory=halve: does not go with trainer.precision={precision}, whose small "
            "gradients need a scaled loss; take trainer.precision=bf16-mixed"
        )
