import os
import signal

import pytest
import torch

os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # `auto` would take a GPU; bits are a CPU's
torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a background job of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_dead_relu(monkeypatch):
    """Softplus for ReLU, so that no path from input to output is cut by chance."""
    monkeypatch.setattr(torch.Tensor, "relu", lambda x: torch.nn.functional.softplus(x))
