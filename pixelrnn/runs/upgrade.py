"""Stored configurations of earlier versions, brought to today's keys in this one place."""

from typing import Any

_GATED = ("pixelrnn.models.GatedPixelCNN", "pixelrnn.models.gated_pixelcnn.GatedPixelCNN")
_RENAMED = {
    "pixelrnn.training.callbacks.TrainingProgress": "pixelrnn.training.progress.TrainingProgress",
}
_SPLITS = ["train", "val", "test"]


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration with today's keys.

    Versions up to 0.1.0 called `scale_name` `scale`, evaluated all splits, and wrote checkpoints
    with two callbacks of Lightning's.

    Args:
        config: content of config.yaml; it stays as it is.
    """
    config = of_nodes(config)
    if "scale" in config:
        config["scale_name"] = config.pop("scale")
        config.setdefault("evaluate", _SPLITS)
    callbacks = dict(config.get("callbacks") or {})
    old = callbacks.get("checkpoint")
    folder = old.get("dirpath") if isinstance(old, dict) else None
    if folder and "checkpoints" not in callbacks:  # else it is a further one, of the user's
        del callbacks["checkpoint"]
        callbacks["checkpoints"] = {
            "_target_": "pixelrnn.training.saving.RunCheckpoints",
            "folder": folder,
        }
        config["callbacks"] = callbacks
    config["logger"] = {
        name: node and _upgraded_logger(node, config.get("signature"))
        for name, node in (config.get("logger") or {}).items()
    }
    return config


def _upgraded_logger(node: dict[str, Any], signature: str | None) -> dict[str, Any]:
    """Without an option that had no effect, and without an id in W&B that two folders shared."""
    node = {key: value for key, value in node.items() if key != "flush_logs_every_n_steps"}
    if "id" in node and node["id"] == signature:
        node |= {"id": None, "name": None}
    return node


def of_nodes(value: Any) -> Any:
    """A copy in which each node, which has a `_target_`, has its name and its keys of today.

    Before `first_gate` the Gated PixelCNN had `squash_first`.
    """
    if isinstance(value, list):
        return [of_nodes(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: of_nodes(item) for key, item in value.items()}
    if isinstance(copy.get("_target_"), str):
        copy["_target_"] = _RENAMED.get(copy["_target_"], copy["_target_"])
        if copy["_target_"] in _GATED and "squash_first" in copy:
            copy["first_gate"] = "squashed" if copy.pop("squash_first") else "linear"
    return copy
