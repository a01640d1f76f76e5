import multiprocessing
from functools import partial

import pytest

from pixelrnn.data import Images, fashion_mnist
from pixelrnn.data.own import inventory
from tests.data import own_files
from tests.data.local_server import LocalServer

# before any test starts the server of processes, or each of its children imports torch anew
multiprocessing.set_forkserver_preload(["pixelrnn.data"])


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pixelrnn.data.transfer._CHUNK", 1000)  # as the files are small
    server = LocalServer()
    yield server
    server.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("pixelrnn.data.transfer.TIMEOUT", 1.0)


@pytest.fixture(autouse=True)
def no_package_of_debian(monkeypatch, tmp_path):
    """Its files are the real ones, and tests have tiny ones of their own."""
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "not-installed")


@pytest.fixture(autouse=True)
def nothing_remembered_of_own_files():
    inventory.forget()


@pytest.fixture
def made(tmp_path):
    """Make a data module of a path, converted and loaded."""
    return partial(own_files.loaded, Images, root=tmp_path / "data")
