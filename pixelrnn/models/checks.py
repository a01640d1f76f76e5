"""What a model refuses, and what it says then."""

import torch
from torch import Tensor

from pixelrnn import symbols


def check_images(images: Tensor, image_shape: tuple[int, int, int], levels: int) -> None:
    """Refuse what is not uint8 (B, C, H, W) with values below `levels`; int32 above 256 levels.

    Raises:
        ValueError: says what was expected and what came.
    """
    expected = str(symbols.dtype(levels)).removeprefix("torch.")
    if not isinstance(images, Tensor):
        kind = f"{type(images).__module__}.{type(images).__name__}"
        hint = "; use torch.from_numpy(...)" if kind == "numpy.ndarray" else ""
        raise ValueError(f"images must be a torch.Tensor of dtype {expected}, got a {kind}{hint}")
    if images.dtype != symbols.dtype(levels):
        of_levels = f" for {levels} levels" if levels > 256 else ""
        raise ValueError(f"images must be of dtype torch.{expected}{of_levels}, got {images.dtype}")
    if images.dim() != 4 or images.shape[1:] != image_shape:
        sizes = ", ".join(map(str, image_shape))
        raise ValueError(f"images must be (B, {sizes}), got {tuple(images.shape)}")
    if levels == 256 or not images.numel():
        return  # uint8 has no other values
    least, most = (int(value) for value in images.aminmax())
    if least < 0 or most >= levels:
        wrong = least if least < 0 else most
        raise ValueError(f"images must hold values below levels={levels}, got {wrong}")


def check_labels(labels: Tensor | None, classes: int | None, n: int) -> None:
    """Refuse what is not int64 (n,) with values below `classes`; without classes, any labels.

    Raises:
        ValueError: says what was expected and what came.
    """
    if classes is None:
        if labels is not None:
            raise ValueError("labels must be None: the model has no classes")
        return
    expected = f"labels must be int64 of shape ({n},) in [0, {classes})"
    if not isinstance(labels, Tensor):
        raise ValueError(f"{expected}, got {labels if labels is None else type(labels)}")
    if labels.dtype != torch.int64 or labels.shape != (n,):
        raise ValueError(f"{expected}, got {labels.dtype} {tuple(labels.shape)}")
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise ValueError(f"{expected}, got {int(outside[0])}")
