"""Which sub-pixels a network can see from one position, measured exactly by gradients.

A sub-pixel can be seen if the parameters of the distribution depend on it for some weights. So the
network is measured with random weights in float64, where no path cancels by chance; a ReLU, which
cuts whatever is negative, is replaced by a softplus, whose derivative is never zero. Masks
multiply by zero: what they hide has a gradient of exactly zero.

Axes: `C` colours, `H W` image.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pixelrnn.models.base import ImageDistribution
from pixelrnn.models.causal import CausalModel
from pixelrnn.models.multi_scale import MultiScale
from pixelrnn.ops import subsampling

_RELUS = (torch.relu, torch.Tensor.relu, torch.nn.functional.relu)
_DRAWS = 2
"""Draws of weights and images, so that no small number vanishes in one of them."""
_TOGETHER = 4
"""Images whose gradients are computed together: training keeps as much of so few."""


class Place(NamedTuple):
    """A sub-pixel."""

    row: int
    column: int
    color: int


class _Smooth(TorchFunctionMode):
    """Replaces every ReLU by a softplus, as long as it is entered."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RELUS:
            return torch.nn.functional.softplus(args[0])
        return func(*args, **(kwargs or {}))


NETWORKS = (CausalModel, MultiScale)
"""Models that can be measured: those whose symbols reach the parameters by differentiable steps."""


def visible(model: ImageDistribution, place: Place) -> Tensor:
    """Measure which sub-pixels the distribution at a place may depend on, for any weights.

    Where the likelihood ties the colours of a pixel, it sees the colours before it without the
    network; these count, too.

    Args:
        model: of `NETWORKS`; it stays as it is, and only its architecture matters.
        place: the sub-pixel whose distribution is looked at.

    Returns:
        bool (C, H, W).
    """
    seen = torch.zeros(model.image_shape, dtype=torch.bool)
    labels = None if model.classes is None else torch.zeros(1, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    for _ in range(_DRAWS):
        probe = _drawn(model, generator)
        symbols = torch.rand(1, *seen.shape, generator=generator, dtype=torch.float64)
        symbols = (symbols * (model.levels - 1)).requires_grad_()
        with _Smooth():
            network, parameters = _parameters(probe, symbols, place, labels)
        if not network.likelihood.ties_colors:
            parameters = parameters.view(1, model.image_shape[0], -1)[:, place.color]
        weights = torch.linspace(1, 2, parameters.shape[-1], dtype=parameters.dtype)
        (gradient,) = torch.autograd.grad((weights * parameters).sum(), symbols)
        seen |= gradient[0] != 0
    if network.likelihood.ties_colors:
        seen[: place.color, place.row, place.column] = True
    return seen


def before(model: ImageDistribution, place: Place) -> Tensor:
    """Say which sub-pixels come before a place in the model's order: bool (C, H, W)."""
    colors, height, width = model.image_shape
    rank = torch.empty(colors * height * width, dtype=torch.long)
    rank[model.order] = torch.arange(len(rank))
    rank = rank.view(height, width, colors).permute(2, 0, 1)
    return rank < rank[place.color, place.row, place.column]


def used(
    model: ImageDistribution, images: Tensor, place: Place, labels: Tensor | None = None
) -> Tensor:
    """Measure how strongly a trained network uses each sub-pixel.

    It is the mean over images of |d log p / d level|, where p is the probability of the level that
    the image has at the place.

    Args:
        model: of `NETWORKS`, with the weights that are looked at.
        images: uint8 (B, C, H, W), at least one.
        place: the sub-pixel whose distribution is looked at.
        labels: int64 (B,) for a class-conditional model, else None.

    Returns:
        float64 (C, H, W) nats per level, on the CPU. Earlier colours of a tied likelihood count as
        far as the network uses them.
    """
    total = torch.zeros(model.image_shape, dtype=torch.float64)
    for start in range(0, len(images), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        slopes = _slopes(model, images[part], place, None if labels is None else labels[part])
        total += slopes.abs().sum(0)
    return total / len(images)


def _slopes(
    model: ImageDistribution, images: Tensor, place: Place, labels: Tensor | None
) -> Tensor:
    """Derivatives of log p of the true level at a place, float64 (B, C, H, W) on the CPU."""
    device = next(model.parameters()).device
    images = images.to(device)
    symbols = images.float().requires_grad_()
    given = None if labels is None else labels.to(device)
    network, parameters = _parameters(model, symbols, place, given)
    pixel = images[:, :, place.row, place.column]
    table = network.likelihood.level_log_probs(parameters, pixel[:, : place.color], place.color)
    true = table.gather(1, pixel[:, place.color, None].long())
    (gradient,) = torch.autograd.grad(true.sum(), symbols)
    return gradient.double().cpu()


def _drawn(model: ImageDistribution, generator: torch.Generator) -> ImageDistribution:
    """A copy of a model in float64 on the CPU, with random weights that keep features near 1."""
    probe = copy.deepcopy(model).cpu().double().eval()
    for weight in probe.parameters():
        count = max(1, weight.numel())
        fan_in = min(count // weight.shape[0], count // weight.shape[-1]) if weight.dim() > 1 else 4
        nn.init.normal_(weight, 0, 1 / max(1, fan_in) ** 0.5, generator=generator)
        weight.requires_grad_(False)
    return probe


def _parameters(
    model: ImageDistribution, symbols: Tensor, place: Place, labels: Tensor | None
) -> tuple[CausalModel, Tensor]:
    """The network that makes the distribution at a place, and its parameters there (B, P).

    Args:
        model: of `NETWORKS`.
        symbols: (B, C, H, W), real numbers in place of levels, so that there are gradients.
        place: where; P are the parameters of its whole pixel.
        labels: int64 (B,) for a class-conditional model, else None.
    """
    if isinstance(model, MultiScale):
        small = subsampling.subsampled(symbols, model.factor)
        rows, columns = model.factor
        if model.known[place.row, place.column]:
            inner = Place(place.row // rows, place.column // columns, place.color)
            return _parameters(
                model.small, small, inner, None if model.small.classes is None else labels
            )
        network, context = model.large, model._context(small, labels)
    else:
        assert isinstance(model, CausalModel)
        network, context = model, model.context(labels)
    return network, network(symbols, context)[place.row, place.column]
