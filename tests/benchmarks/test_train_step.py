import pytest

from benchmarks import train_step
from benchmarks.train_step import Case

IMAGE = (3, 4, 4)


ALONE = [(model, None) for model in train_step.RECURRENT]
WHOLE = [(model, 1) for model in train_step.MODELS]


@pytest.mark.parametrize(("model", "layers"), ALONE + WHOLE)
def test_every_variant_of_every_model_runs(model, layers):
    case = Case(model, 4, layers, IMAGE, 4)
    for variant in train_step.variants(case):
        train_step.step(case, variant)()
