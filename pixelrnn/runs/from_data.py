"""Keys of a model that the data set fills in when a run starts.

image_shape, levels    null or "data": what the data have
classes                "data": the number of classes of the data; null: the model has none
"""

from typing import Any

KEYS = ("image_shape", "levels", "classes")
WORD = "data"
"""Stands for what the data have."""


def is_open(key: str, value: Any) -> bool:
    """Whether the data set fills a key of a node.

    Args:
        key: its name, without those of the nodes around it.
        value: what the configuration says.
    """
    if key not in KEYS:
        return False
    return value == WORD or (value is None and key != "classes")
