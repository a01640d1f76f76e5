import inspect

import pixelrnn.models
from pixelrnn.models import ImageDistribution
from tests.helpers import CATALOGUE


def test_every_exported_model_is_in_the_catalogue():
    exported = {
        value
        for value in vars(pixelrnn.models).values()
        if inspect.isclass(value)
        and issubclass(value, ImageDistribution)
        and not inspect.isabstract(value)
    }
    built = {kind for case in CATALOGUE for kind in type(case((1, 2, 2), 2)).__mro__[:2]}
    assert exported <= built
