"""The paper's choice of likelihood: sigmoid for binary images, softmax for all others."""

from pixelrnn.arguments import Levels, checked
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.likelihood.bernoulli import Bernoulli
from pixelrnn.likelihood.categorical import Categorical


@checked
def for_levels(levels: Levels) -> Likelihood:
    """Return `Bernoulli` for two levels, `Categorical` for more."""
    return Bernoulli() if levels == 2 else Categorical(levels)
