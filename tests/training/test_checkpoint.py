import os

import pytest
import torch

from pixelrnn.errors import RunError
from pixelrnn.training import checkpoint
from pixelrnn.training.checkpoint import AtomicCheckpointIO

CONTENT = {"state_dict": {"w": torch.arange(1000.0)}, "epoch": 3}
RESUMABLE = {
    **CONTENT,
    "optimizer_states": [{}],
    "lr_schedulers": [],
    "loops": {},
    "global_step": 7,
}


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


def numbered(number):
    return {**RESUMABLE, "global_step": number}


def save_last(run, number):
    folder = run / "checkpoints"
    keep = checkpoint.Keep(folder / "last-previous.ckpt")
    AtomicCheckpointIO().save_checkpoint(numbered(number), folder / "last.ckpt", keep)


def stored(run):
    """Step of each of the two newest checkpoints that passes its check."""
    found = {}
    for name in ("last", "last-previous"):
        try:
            found[name] = checkpoint.read(run / "checkpoints" / f"{name}.ckpt")["global_step"]
        except RunError:
            found[name] = None
    return found


@pytest.mark.parametrize("links", [True, False])
def test_the_one_before_is_kept(tmp_path, monkeypatch, links):
    if not links:  # as on FAT
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(1, "not here")))
    for number in (1, 2, 3):
        save_last(tmp_path, number)
    assert stored(tmp_path) == {"last": 3, "last-previous": 2}
    names = {"last.ckpt", "last.ckpt.sha256", "last-previous.ckpt", "last-previous.ckpt.sha256"}
    assert set(os.listdir(tmp_path / "checkpoints")) == names


@pytest.mark.parametrize("links", [True, False])
def test_death_at_any_moment_of_a_save_leaves_two_sound_checkpoints(tmp_path, monkeypatch, links):
    """At each rename and link in turn: at worst, without links, the newest has the older name."""
    real, left = {name: getattr(os, name) for name in ("replace", "link")}, [0]

    def dies(name):
        def call(*arguments):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            if name == "link" and not links:
                raise OSError(1, "not here")
            return real[name](*arguments)

        return call

    for name in real:
        monkeypatch.setattr(os, name, dies(name))
    deaths = 0
    for at in range(1, 20):
        run, left[0] = tmp_path / str(at), 0
        save_last(run, 1)
        save_last(run, 2)
        left[0] = at
        try:
            save_last(run, 3)
        except KeyboardInterrupt:
            deaths += 1
            assert checkpoint.to_resume(run).step in (2, 3)
            assert stored(run)["last-previous"] in (1, 2)
            assert stored(run)["last"] in ((2, 3) if links else (2, 3, None))
            left[0] = 0
            save_last(run, 4)
            assert stored(run)["last"] == 4
            assert stored(run)["last-previous"] in (2, 3)
        else:
            break
    assert deaths == 5


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


@pytest.fixture
def run(path):
    for name in ("last", "best"):
        AtomicCheckpointIO().save_checkpoint(RESUMABLE, path.with_name(f"{name}.ckpt"))
    return path.parent.parent


def nan(content):
    content["state_dict"] = {"w": torch.tensor([1.0, float("nan")])}
    content["current_model_state"] = {"w": torch.ones(2)}


def raw_nan(content):
    content["current_model_state"] = {"w": torch.tensor([float("inf")])}


def without_optimizer(content):
    del content["optimizer_states"]


def a_list(content):
    content["state_dict"] = [1, 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (nan, "not finite"),
        (raw_nan, "not finite"),
        (without_optimizer, "holds weights only"),
        (a_list, "no state_dict"),
    ],
)
def test_a_damaged_last_falls_back_to_best_and_says_so(run, path, caplog, change, reason):
    content = dict(RESUMABLE)
    change(content)
    AtomicCheckpointIO().save_checkpoint(content, path)
    found = checkpoint.to_resume(run)
    assert (found.path.name, found.step) == ("best.ckpt", 7)
    (line,) = [record.getMessage() for record in caplog.records]
    assert reason in line
    assert "going on from" in line
    AtomicCheckpointIO().save_checkpoint(content, path.with_name("best.ckpt"))
    with pytest.raises(RunError, match=reason):
        checkpoint.to_resume(run)


def test_the_newest_is_taken_in_silence_and_nothing_is_nothing(run, caplog):
    assert checkpoint.to_resume(run).path.name == "last.ckpt"
    assert not caplog.records
    assert checkpoint.to_resume(run / "elsewhere") is None


def test_half_a_file_falls_back_too(run, path):
    path.write_bytes(b"half")
    assert checkpoint.to_resume(run).path.name == "best.ckpt"


def test_a_whole_file_that_is_a_list_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(RunError, match="not a checkpoint of this project"):
        checkpoint.read(tmp_path / "list.ckpt")


def test_a_folder_in_its_place_is_refused(run, path):
    path.unlink()
    path.mkdir()
    for look in (lambda: checkpoint.to_resume(run), lambda: checkpoint.read(path)):
        with pytest.raises(RunError, match="is a folder"):
            look()
