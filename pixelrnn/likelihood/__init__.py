"""What a network's outputs mean: distributions over the levels of a pixel's colours, and units."""

from pixelrnn.likelihood.base import Likelihood as Likelihood
from pixelrnn.likelihood.bernoulli import Bernoulli as Bernoulli
from pixelrnn.likelihood.categorical import Categorical as Categorical
from pixelrnn.likelihood.choice import for_levels as for_levels
from pixelrnn.likelihood.logistic_mixture import LogisticMixture as LogisticMixture
