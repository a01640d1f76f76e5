"""A mixture of logistics for a whole pixel (PixelCNN++, Salimans et al. 2017, section 2.1 and 2.2).

A level is a bin on a line: level i of L stands at x_i = 2 i / (L - 1) - 1, and its bin reaches
halfway to its neighbours. The first bin reaches on to minus infinity, the last one to infinity, so
that the masses of all levels sum to one. With F the cumulative distribution of a logistic of mean m
and scale s, sigmoid((x - m) / s), and a, b the upper and the lower edge of the bin in units of s,

    P(first) = F(a)        P(i) = F(a) - F(b)        P(last) = 1 - F(b)

The difference is computed in a form that cannot cancel, so that no small number guards it:

    log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a))

An edge is one number for both of its bins, to the last bit: the masses telescope, in float32 too,
and sum to one within 1e-6. A single one is rounded more, since a and b are close: by about
(L - 1) 2^-24 of itself, 2e-5 for 256 levels and 0.4 % for 65,536. Means far outside of the levels
would make it worse, and edges the same number; there a - b is set to what it is, 2 / (s (L - 1)).

The component is one for all colours of a pixel: colours are summed inside a component, components
outside. The mean of a later colour moves linearly with the true values x of the colours before it:

    mean_G = m_G + c0 x_R        mean_B = m_B + c1 x_R + c2 x_G

Hence the conditionals are exact mixtures too, whose weights are those of the components given the
colours so far: p(G | r) has the weights w_k ~ pi_k P_k(r), p(B | r, g) has pi_k P_k(r) P_k(g | r).

Without `tie_colors` every colour has a mixture of its own, as if it were a pixel of one colour; the
colours before it then reach its parameters through the network.

Axes: `C` colours, `K` components, `L` levels.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.arguments import Levels, Positive, checked
from pixelrnn.likelihood.base import Likelihood, at_least_float32

MAX_LOG_SCALE = 7.0
"""Scales are held within exp(-7) and exp(7). PixelCNN++ has the lower bound: at 256 levels a bin
then holds at most 97 % of a component. Beyond the upper one a component is a coin between the first
and the last level."""

FAR_MEAN = 2.0
"""Means above it are far: all levels, which are in [-1, 1], are at least 1 away. The rounding of a
and b is then a small share of their size, and their difference need not be taken from them."""


class Mixture(NamedTuple):
    """The parameters of the distribution of a pixel, by name.

    Attributes:
        log_weights: (..., K), normalised.
        means: (..., C, K), of each colour where the colours before it are 0, the middle level.
        log_scales: (..., C, K).
        coefficients: (..., C (C - 1) / 2, K) in [-1, 1]: of R for G, then of R and of G for B.
    """

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor
    coefficients: Tensor


class LogisticMixture(Likelihood):
    """A mixture of logistics, with one component for all colours of a pixel or one for each.

    It knows which levels are close, which a softmax must learn, and needs few parameters: P is
    K (1 + 2 C + C (C - 1) / 2) with tied colours, that is 10 K for three, else 3 K C; a softmax of
    256 levels has 768.

    Args:
        levels: L, number of values a colour of a pixel can take.
        components: K.
        tie_colors: one component for all colours of a pixel. A network must then not show these to
            each other (`color_conditioning=False`). False: a mixture for each colour.
    """

    @checked
    def __init__(
        self, levels: Levels = 256, components: Positive = 10, tie_colors: bool = True
    ) -> None:
        self.levels = levels
        self.components = components
        self.ties_colors = tie_colors

    def parameters_per_pixel(self, colors: int) -> int:
        """Return P: weights, means, scales and coefficients of all components."""
        if not self.ties_colors:
            return colors * self._parameters(1)
        return self._parameters(colors)

    def log_prob(self, parameters: Tensor, pixel: Tensor) -> Tensor:
        """Compute log p in nats: parameters (..., P), pixel (..., C) -> (...)."""
        colors = pixel.shape[-1]
        with torch.autocast(parameters.device.type, enabled=False):
            if self.ties_colors:
                return self._joint(self._split(parameters, colors), pixel).logsumexp(-1)
            each = self._split(parameters.unflatten(-1, (colors, -1)), 1)
            return self._joint(each, pixel[..., None]).logsumexp(-1).sum(-1)

    def level_log_probs(self, parameters: Tensor, earlier: Tensor, color: int) -> Tensor:
        """Compute log p of every level of one colour given those before it: (..., L) nats."""
        if not self.ties_colors:
            size = self._parameters(1)
            parameters = parameters[..., color * size : (color + 1) * size]
            earlier, color = earlier[..., :0], 0
        with torch.autocast(parameters.device.type, enabled=False):
            mixture = self._split(parameters, self._colors(parameters.shape[-1]))
            weights = self._joint(mixture, earlier).log_softmax(-1)  # of components, given earlier
            mean = self._mean(mixture, earlier, color)
            every = torch.arange(self.levels, device=parameters.device)[:, None]  # (L, 1)
            scale = mixture.log_scales[..., color, None, :]
            table = self._masses(every, mean[..., None, :], scale)  # (..., L, K)
            return (weights[..., None, :] + table).logsumexp(-1)

    def _parameters(self, colors: int) -> int:
        """Return the number of parameters of one mixture over some colours."""
        return self.components * (1 + 2 * colors + colors * (colors - 1) // 2)

    def _colors(self, parameters: int) -> int:
        """Return over how many colours a mixture is that has so many parameters."""
        colors = 1
        while self._parameters(colors) < parameters:
            colors += 1
        return colors

    def _split(self, parameters: Tensor, colors: int) -> Mixture:
        """Name the parameters (..., P); they are scaled to their ranges in float32 or better."""
        named = at_least_float32(parameters).unflatten(-1, (-1, self.components))
        weights, means, scales, coefficients = named.split(
            [1, colors, colors, colors * (colors - 1) // 2], dim=-2
        )
        return Mixture(
            weights[..., 0, :].log_softmax(-1),
            means,
            scales.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE),
            coefficients.tanh(),
        )

    def _joint(self, mixture: Mixture, pixel: Tensor) -> Tensor:
        """Compute the log-probability of a component and the first colours of a pixel: (..., K).

        Args:
            mixture: of the pixel.
            pixel: (..., colours so far), integers; there may be none.
        """
        total = mixture.log_weights
        for color in range(pixel.shape[-1]):
            mean = self._mean(mixture, pixel[..., :color], color)
            level = pixel[..., color, None]
            total = total + self._masses(level, mean, mixture.log_scales[..., color, :])
        return total

    def _mean(self, mixture: Mixture, earlier: Tensor, color: int) -> Tensor:
        """Compute the means of one colour, given the levels (..., color) before it: (..., K)."""
        mean = mixture.means[..., color, :]
        first = color * (color - 1) // 2
        for before in range(color):
            x = earlier[..., before, None].to(mean.dtype) * (2 / (self.levels - 1)) - 1
            mean = mean + mixture.coefficients[..., first + before, :] * x
        return mean

    def _masses(self, level: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """Compute log P(level) of logistics; all arguments broadcast against each other."""
        last, inverse = self.levels - 1, (-log_scale).exp()
        twice = 2 * level.to(torch.int32)  # so that an edge has an integer numerator
        a = ((twice + (2 - self.levels)).to(mean.dtype) / last - mean) * inverse
        b = ((twice - self.levels).to(mean.dtype) / last - mean) * inverse
        # The edges of a narrow bin that is far from the mean may round to one number.
        width = torch.where(mean.abs() > FAR_MEAN, 2 * inverse / last, a - b)
        # `logsigmoid` treats the last elements of a tensor like all others, `softplus` does not: a
        # sampled image would depend on its batch.
        below_upper, above_lower = F.logsigmoid(a), F.logsigmoid(-b)
        inside = below_upper + above_lower + (-torch.expm1(-width)).log()
        edges = torch.where(level == 0, below_upper, above_lower)
        return torch.where((level == 0) | (level == last), edges, inside)
