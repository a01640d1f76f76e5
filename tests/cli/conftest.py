import shutil
import warnings

import pytest

from pixelrnn.cli.main import main
from tests.cli.commands import TINY


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of a tiny PixelCNN on the digits, trained once; tests work on copies of it."""
    root = tmp_path_factory.mktemp("trained")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Lightning advises is not ours to heed
        assert main([*TINY, f"folder={root}/run"]) == 0
    return root / "run"


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, in a folder whose name needs care."""
    return shutil.copytree(trained, tmp_path / "lr=0.1,h=3 (größe)")
