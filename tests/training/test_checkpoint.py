import os

import pytest
import torch

from pixelrnn.errors import RunError
from pixelrnn.training import checkpoint
from pixelrnn.training.checkpoint import AtomicCheckpointIO

CONTENT = {"state_dict": {"w": torch.arange(1000.0)}, "epoch": 3}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    return path


def test_round_trip(path):
    assert torch.equal(checkpoint.read(path)["state_dict"]["w"], CONTENT["state_dict"]["w"])
    assert sorted(os.listdir(path.parent)) == ["last.ckpt", "last.ckpt.sha256"]


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disc full")))
    with pytest.raises(OSError, match="disc full"):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {}}, path)
    assert checkpoint.read(path)["epoch"] == 3
    assert sorted(os.listdir(path.parent)) == ["last.ckpt", "last.ckpt.sha256"]


def test_death_between_digest_and_file_leaves_a_sound_checkpoint(path, monkeypatch):
    replace = os.replace

    def die_at_the_file(source, target):
        if str(target).endswith(".ckpt"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", die_at_the_file)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": 4}, path)
    assert checkpoint.read(path)["epoch"] == 3


@pytest.mark.parametrize("where", [100, 2000, -50])
def test_a_flipped_bit_is_found(path, where):
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        checkpoint.read(path)


def test_truncated_garbage_and_missing(path):
    digest = path.with_name("last.ckpt.sha256")
    digest.unlink()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RunError, match="not a readable checkpoint"):
        checkpoint.read(path)
    path.write_bytes(b"hello")
    with pytest.raises(RunError, match="not a readable checkpoint"):
        checkpoint.read(path)
    path.unlink()
    with pytest.raises(RunError, match="no such checkpoint"):
        checkpoint.read(path)


def test_pickles_that_run_code_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(RunError):
        checkpoint.read(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()


def test_a_damaged_last_falls_back_to_best(path):
    run = path.parent.parent
    AtomicCheckpointIO().save_checkpoint(CONTENT, path.with_name("best.ckpt"))
    path.write_bytes(b"half")
    assert checkpoint.sound_checkpoint(run, ("last", "best")).name == "best.ckpt"
    path.with_name("best.ckpt").write_bytes(b"half")
    with pytest.raises(RunError, match="damaged"):
        checkpoint.sound_checkpoint(run, ("last", "best"))
    assert checkpoint.sound_checkpoint(run / "elsewhere", ("last", "best")) is None
