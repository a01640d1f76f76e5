"""Many processes at once, and processes killed at any moment: the data are whole or not there."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from pixelrnn.data import converted, disk
from pixelrnn.errors import DataError
from tests.data import process_jobs, stored_sets


@pytest.fixture(scope="module")
def fresh():
    """Processes that share no state with this one but start fast."""
    return multiprocessing.get_context("forkserver")


def _on_server(module, server, way):
    """Move the raw files to the server."""
    for path in (module.image_set.root / "raw").iterdir():
        server.put(path.name, path.read_bytes())
    entries = {
        part: tuple(replace(f, urls=(server.url(way, f.name),)) for f in group)
        for part, group in module.image_set.source.files.items()
    }
    module.image_set.source = replace(module.image_set.source, files=entries)
    shutil.rmtree(module.image_set.root / "raw")


def test_eight_processes_at_once_build_once_and_read_the_same(fresh, server, tmp_path):
    root = tmp_path / "root"
    module, images = stored_sets.cifar10(root)
    _on_server(module, server, "slow")
    shutil.rmtree(root)
    barrier, answers = fresh.Barrier(8), fresh.Queue()
    log = tmp_path / "log"
    jobs = [
        fresh.Process(target=process_jobs.prepare_together, args=(module, barrier, answers, log))
        for _ in range(8)
    ]
    for job in jobs:
        job.start()
    found = [answers.get(timeout=300) for _ in jobs]
    for job in jobs:
        job.join()
    assert found == [{part: converted.digest(images[part]) for part in images}] * 8
    assert log.read_text() == "built\n"
    assert len(server.requests) == 1
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    parts = ("test", "test_labels", "train", "train_labels")
    names = ["cifar10/meta.json", *(f"cifar10/{part}.npy" for part in parts)]
    assert left == ["cifar10.lock", *names, "raw/cifar-10-binary.tar.gz"]


def _kill_at_random(fresh, make, check, root, trials):
    """Start, kill at a random moment, start again: whole, identical, no debris."""
    random = np.random.default_rng(0)
    took = _time(fresh, make(root / "timing"))
    killed = 0
    for trial in range(trials):
        module = make(root / str(trial))
        started = fresh.Event()
        job = fresh.Process(target=process_jobs.prepare, args=(module, started))
        job.start()
        assert started.wait(60)
        time.sleep(random.uniform(0, took))
        job.kill()
        job.join()
        killed += job.exitcode == -signal.SIGKILL
        if module.image_set.store.ready():  # what counts as whole has to be whole
            check(module)
        module.prepare_data()
        check(module)
        assert not list(module.image_set.root.rglob("*.tmp"))
        shutil.rmtree(module.image_set.root)
    assert killed >= trials // 3


def _time(fresh, module):
    started = fresh.Event()
    job = fresh.Process(target=process_jobs.prepare, args=(module, started))
    job.start()
    assert started.wait(60)
    begin = time.monotonic()
    job.join()
    return time.monotonic() - begin


def _kill_in_fetch(fresh, server, root, trials):
    kept, images = stored_sets.cifar10(root / "kept")
    _on_server(kept, server, "slow")

    def make(root):
        module, _ = stored_sets.cifar10(root)
        shutil.rmtree(root / "raw")
        module.image_set.source = kept.image_set.source
        return module

    def check(module):
        for part, expected in images.items():
            np.testing.assert_array_equal(module.image_set.part(part), expected)

    _kill_at_random(fresh, make, check, root, trials)


def _kill_in_conversion(fresh, root, trials):
    kept, images = stored_sets.imagenet(root / "kept", count=2000)

    def make(root):
        module, _ = stored_sets.imagenet(root, count=1)
        shutil.rmtree(root)
        root.mkdir()
        (root / "raw").symlink_to(kept.image_set.root / "raw")
        module.image_set.source = kept.image_set.source
        return module

    def check(module):
        for part, expected in images.items():
            np.testing.assert_array_equal(module.image_set.part(part), expected)

    _kill_at_random(fresh, make, check, root, trials)


@pytest.mark.long
def test_killed_in_the_fetch(fresh, server, tmp_path):
    _kill_in_fetch(fresh, server, tmp_path, trials=6)


@pytest.mark.long
def test_killed_in_the_conversion(fresh, tmp_path):
    _kill_in_conversion(fresh, tmp_path, trials=6)


@pytest.mark.slow
def test_killed_in_the_fetch_25_times(fresh, server, tmp_path):
    _kill_in_fetch(fresh, server, tmp_path, trials=25)


@pytest.mark.slow
def test_killed_in_the_conversion_25_times(fresh, tmp_path):
    _kill_in_conversion(fresh, tmp_path, trials=25)


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    dead = process_jobs.dead_pid()
    alive, gone = process_jobs.unfinished("train.npy"), process_jobs.unfinished("train.npy", dead)
    far = process_jobs.unfinished("train.npy", dead, host="elsewhere")
    old = process_jobs.unfinished("meta.json", dead, host="elsewhere")
    folder = process_jobs.unfinished("a.tar.gz", dead)
    for name in (alive, gone, far, old):
        (tmp_path / name).write_text("half")
    (tmp_path / folder / "x").mkdir(parents=True)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(tmp_path / old, (two_days_ago, two_days_ago))
    disk.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {alive, far}


def test_a_broken_lock_costs_time_and_not_data(tmp_path, monkeypatch):
    """On file systems whose lock does nothing, two conversions at once leave whole data."""
    monkeypatch.setattr(converted.FileLock, "acquire", lambda self, **settings: None)
    module, images = stored_sets.imagenet(tmp_path, count=300)
    both = threading.Barrier(2)
    build, errors = module.image_set.build, []

    def together(builder):
        both.wait(20)
        build(builder)

    module.image_set.build = together

    def run():
        try:
            module.prepare_data()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for part, expected in images.items():
        np.testing.assert_array_equal(module.image_set.part(part), expected)
    module.image_set.store.verify()


def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch, caplog):
    def refuse(self, **settings):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(converted.FileLock, "acquire", refuse)
    module, images = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    assert "has no locks" in caplog.text
    np.testing.assert_array_equal(module.image_set.part("train"), images["train"])


def test_who_waits_finds_it_done(tmp_path):
    module, _ = stored_sets.cifar10(tmp_path)
    other, _ = stored_sets.cifar10(tmp_path)
    with FileLock(tmp_path / "cifar10.lock"):
        thread = threading.Thread(target=other.prepare_data)
        other.image_set.build = None  # must not be called
        thread.start()
        time.sleep(0.2)
        builder = converted.Builder(module.image_set.store)
        module.image_set.build(builder)
        builder.finish()
    thread.join()
    assert other.image_set.store.ready()


def test_a_conversion_that_fails_leaves_the_old_parts(tmp_path, monkeypatch):
    module, images = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    monkeypatch.setattr(converted.PartWriter, "check_count", _raise)
    with pytest.raises(DataError, match="no"):
        module.image_set.store.prepare(module.image_set.build, again=True)
    assert not module.image_set.store.ready()
    monkeypatch.undo()
    np.testing.assert_array_equal(
        np.load(module.image_set.store.folder / "train.npy"), images["train"]
    )
    module.prepare_data()
    assert module.image_set.store.ready()


def _raise(self):
    raise DataError("no")
