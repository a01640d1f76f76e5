"""A user's own model, outside the package: one file of Python, one file of configuration.

This is the example that models/README.md points to: a stack whose blocks gate a masked convolution.
"""

import sys

import pytest
import torch

import pixelrnn
from pixelrnn.cli.main import main
from pixelrnn.training.load import load_model

MODULE = '''
from torch import Tensor

from pixelrnn.arguments import OddSize
from pixelrnn.layers.apply import Run
from pixelrnn.layers.blocks import Block
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import StackModel


class GatedBlock(Block):
    """x + tanh(a) * sigmoid(b), of two masked convolutions."""

    def __init__(self, features: int, size: int, color_groups: int) -> None:
        super().__init__()
        self.a = MaskedConv2d("B", features, features, (size, size), color_groups)
        self.b = MaskedConv2d("B", features, features, (size, size), color_groups)

    def compose(self, x: Tensor, run: Run) -> Tensor:
        return x + run(self.a, x).tanh() * run(self.b, x).sigmoid()


@arguments_from_fields
class Gated(StackModel):
    """A stack of gated convolutions.

    Args:
        gate_size: size of the blocks' convolutions, odd.
    """

    gate_size: OddSize = 3

    def block(self) -> GatedBlock:
        return GatedBlock(2 * self.hidden, self.gate_size, self.color_groups)
'''

CONF = """
defaults: [/model/shared/stack@_here_, _self_]
_target_: my_model.Gated
gate_size: 3
"""

SHORT = [
    "model=gated",
    "model.hidden=4",
    "model.layers=1",
    "model.head_width=8",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "logger=csv",
    "callbacks.samples=null",
    "callbacks.summary=null",
    "folder=mine",
]


@pytest.fixture
def words(tmp_path, monkeypatch):
    """What a user types after `pixelrnn train`."""
    (tmp_path / "my_model.py").write_text(MODULE)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "gated.yaml").write_text(CONF)
    monkeypatch.syspath_prepend(tmp_path)
    yield ["--config-dir", str(tmp_path / "conf"), *SHORT]
    sys.modules.pop("my_model", None)


def test_it_trains_is_loaded_and_draws(words, capfd):
    assert main(["train", *words]) == 0
    model = load_model("mine")
    assert type(model).__name__ == "Gated"
    assert (model.image_shape, model.levels, model.gate_size) == ((1, 8, 8), 17, 3)
    images = model.sample(2, generator=torch.Generator().manual_seed(0))
    assert pixelrnn.bits_per_dim(model.log_prob(images), model.image_shape).isfinite().all()
    assert main(["sample", "run=mine", "n=2"]) == 0


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("model.gate_size=4", "model.gate_size=4: must be odd"),
        ("model.gate_sise=3", "model.gate_sise"),
        ("model.hidden=0", "model.hidden=0"),
    ],
)
def test_its_options_are_checked(words, word, says, capfd):
    assert main(["train", *words, word]) == 2
    assert says in capfd.readouterr().err
