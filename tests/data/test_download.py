"""Fetching, from a server that behaves and from servers that do not."""

import errno
import hashlib
import os
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pixelrnn.data import disk
from pixelrnn.data.registry import SOURCES
from pixelrnn.errors import DataError
from tests.data import process_jobs, stored_sets
from tests.data import raw_formats as raw


@pytest.fixture
def remote(server, tmp_path):
    """Static MNIST on the server and not on disc; `remote(*ways)` sets the mirrors."""
    module, images = stored_sets.mnist(tmp_path)
    for path in (tmp_path / "raw").iterdir():
        server.put(path.name, path.read_bytes())
    shutil.rmtree(tmp_path / "raw")
    source = module.image_set.source

    def make(*ways):
        entries = {
            part: tuple(replace(f, urls=tuple(server.url(way, f.name) for way in ways)) for f in fs)
            for part, fs in source.files.items()
        }
        module.image_set.source = replace(source, files=entries)
        return module, images

    return make


def _no_debris(root):
    names = [path.name for path in root.rglob("*") if path.is_file()]
    return all(name.endswith((".amat", ".npy", ".lock", "meta.json")) for name in names)


def _is_whole(module, images):
    return all(np.array_equal(module.image_set.part(part), images[part]) for part in images)


def test_fetch_convert_read(remote, tmp_path):
    module, images = remote("good")
    module.prepare_data()
    assert _is_whole(module, images)
    assert _no_debris(tmp_path)


def test_nothing_is_fetched_twice(remote, server):
    module, _ = remote("good")
    module.prepare_data()
    module.prepare_data()
    assert len(server.requests) == len(set(server.requests)) == 3
    shutil.rmtree(module.image_set.store.folder)
    module.prepare_data()  # from the raw files
    assert len(server.requests) == 3


BAD = {
    "flipped": "sent a file of another SHA-256",
    "cut": "",
    "short": r"sent [\d,]+ of [\d,]+ bytes\)",
    "longer": "sends more than",
    "endless": "sends more than",
    "page": "sent a web page",
    "missing": "404",
    "broken": "500",
    "stall": r"sent 2,000 of [\d,]+ bytes, then: timed out: nothing came for 1 s",
}
KEPT = ("cut", "short", "stall")
"""Ways that bring a beginning, which is kept; as long as more comes, the same server is asked."""


@pytest.mark.parametrize("way", BAD)
def test_a_bad_server_is_passed_over_for_the_next(way, remote, server, impatient, tmp_path):
    module, images = remote(way, "good")
    module.prepare_data()
    assert _is_whole(module, images)
    assert _no_debris(tmp_path)
    asked = [way, way, "good"] if way in KEPT else [way, "good"]
    assert [w for w, _ in server.requests] == asked * 3


@pytest.mark.parametrize("way", BAD)
def test_bad_servers_alone_give_one_clear_error(way, remote, server, impatient, tmp_path):
    module, _ = remote(way)
    with pytest.raises(DataError) as caught:
        module.prepare_data()
    message = str(caught.value)
    assert re.search(BAD[way], message)
    assert "train.amat is missing, and it could not be fetched" in message
    assert server.url(way, "train.amat") in message
    assert "bytes, SHA-256" in message
    (part,) = list((tmp_path / "raw").glob("*.part")) if way in KEPT else (None,)
    if part is None:
        assert _no_debris(tmp_path)
    else:
        assert f"What came is kept in {part}: the same command asks for the rest." in message
    assert not list(tmp_path.rglob("*.amat"))
    assert not list(tmp_path.rglob("*.tmp"))
    # what comes wrong is not asked for again; what may pass is tried once more
    tries = {"flipped": 1, "longer": 1, "endless": 1, "page": 1} | dict.fromkeys(KEPT, 3)
    assert len(server.requests) == tries.get(way, 2)


def test_a_link_that_breaks_goes_on_where_it_broke(remote, server, tmp_path):
    module, images = remote("quarter")
    module.prepare_data()
    assert _is_whole(module, images)
    assert _no_debris(tmp_path)
    begins = [0 if asked is None else int(asked[6:-1]) for asked in server.http.ranges[:5]]
    assert begins == [0, 7000, 14000, 21000, 28000]  # of 31,360, in whole chunks of 1,000
    assert len(server.requests) == 3 * 5


def test_what_another_process_fetched_is_not_fetched_again(remote, server, tmp_path):
    module, images = remote("quarter")
    whole = server.http.files["train.amat"]
    (tmp_path / "raw").mkdir()
    left = process_jobs.unfinished("train.amat", process_jobs.dead_pid())
    (tmp_path / "raw" / left).write_bytes(whole[: len(whole) * 9 // 10])
    (tmp_path / "raw" / "train.amat.part").write_bytes(whole[:10])
    module.prepare_data()
    assert _is_whole(module, images)
    assert server.http.ranges[0] == f"bytes={len(whole) * 9 // 10}-"
    assert not [path for path in (tmp_path / "raw").iterdir() if ".tmp" in path.name]


def test_a_wrong_rest_is_thrown_away_and_another_server_asked(remote, server, tmp_path):
    module, images = remote("wrong_rest", "good")
    module.prepare_data()
    assert _is_whole(module, images)


def test_a_damaged_beginning_is_thrown_away(remote, server, tmp_path):
    module, images = remote("quarter")
    (tmp_path / "raw").mkdir()
    for damaged in (b"x" * 100, b"x" * 10**6):
        (tmp_path / "raw" / "train.amat.part").write_bytes(damaged)
        module.prepare_data()
        assert _is_whole(module, images)
        assert _no_debris(tmp_path)
        shutil.rmtree(module.image_set.store.folder)
        (tmp_path / "raw" / "train.amat").unlink()


def test_no_network(remote, server, tmp_path):
    module, _ = remote("good")
    server.close()
    with pytest.raises(DataError, match=r"could not be fetched .*Check the network"):
        module.prepare_data()


def test_no_network_matters_not_when_the_files_are_there(remote, server, tmp_path):
    module, images = remote("good")
    module.prepare_data()
    server.close()
    module.prepare_data()
    shutil.rmtree(module.image_set.store.folder)
    module.prepare_data()
    assert _is_whole(module, images)


def test_a_server_that_would_unpack_gzip_is_not_asked_to(server, tmp_path):
    module, images = stored_sets.mnist(tmp_path, "none")
    for path in (tmp_path / "raw").iterdir():
        server.put(path.name, path.read_bytes())
    entries = {
        part: tuple(replace(f, urls=(server.url("zipped", f.name),)) for f in files)
        for part, files in module.image_set.source.files.items()
    }
    module.image_set.source = replace(module.image_set.source, files=entries)
    shutil.rmtree(tmp_path / "raw")
    module.prepare_data()
    assert _is_whole(module, images)


def test_what_a_fetch_left_that_was_killed_with_the_file_in_place_goes(remote, tmp_path):
    module, images = remote("good")
    module.prepare_data()
    whole = next((tmp_path / "raw").iterdir())
    left = whole.with_name(process_jobs.unfinished(whole.name, process_jobs.dead_pid()))
    left.mkdir()
    shutil.rmtree(module.image_set.store.folder)
    module.prepare_data()
    assert not left.exists()
    assert _is_whole(module, images)


def test_a_damaged_raw_file_is_fetched_again(remote, tmp_path):
    module, images = remote("good")
    module.prepare_data()
    shutil.rmtree(module.image_set.store.folder)
    path = tmp_path / "raw" / "val.amat"
    path.write_bytes(path.read_bytes()[:-1])
    module.prepare_data()
    assert _is_whole(module, images)


def test_a_damaged_raw_file_stays_when_there_is_no_other(remote, impatient, tmp_path):
    module, _ = remote("page")
    path = tmp_path / "raw" / "train.amat"
    path.parent.mkdir()
    path.write_bytes(b"half of it")
    with pytest.raises(DataError, match=r"train\.amat is damaged: .*cut short.*web page"):
        module.prepare_data()
    assert path.read_bytes() == b"half of it"


@pytest.mark.parametrize("version", ["imagenet32_oord", "imagenet64_oord"])
def test_a_torrent_is_explained(version, tmp_path):
    module, _ = stored_sets.imagenet(tmp_path, version)
    name = module.image_set.source.files["train"][0].name
    path = tmp_path / "raw" / name
    path.unlink()
    with pytest.raises(DataError) as caught:
        module.prepare_data()
    message = str(caught.value)
    assert f"{path} is missing" in message
    assert "magnet:?xt=urn:btih:" + SOURCES[version].homepage.rsplit("/", 1)[1] in message
    assert f"move {name} to {path}" in message


def test_a_login_is_explained(tmp_path):
    module, _ = stored_sets.imagenet(tmp_path, "imagenet64_box")
    path = tmp_path / "raw" / "Imagenet64_train_part2_npz.zip"
    path.unlink()
    with pytest.raises(DataError) as caught:
        module.prepare_data()
    message = str(caught.value)
    assert "log in at\n  https://image-net.org/download-images" in message
    assert f"https://image-net.org/data/downsample/{path.name}" in message
    assert f"to {path}" in message


def test_a_file_put_there_by_hand_is_never_touched(tmp_path):
    module, _ = stored_sets.imagenet(tmp_path)
    path = tmp_path / "raw" / "train_32.tar"
    path.write_bytes(path.read_bytes()[:-1])
    before = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(DataError, match=r"train_32\.tar is damaged"):
        module.prepare_data()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def _fails(number):
    def fail(*arguments, **settings):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disc_that_fails_during_fetch_or_conversion(number, remote, monkeypatch, tmp_path):
    module, images = remote("good")
    with monkeypatch.context() as patch:
        patch.setattr("pixelrnn.data.transfer.write", _fails(number))
        with pytest.raises(DataError, match=os.strerror(number) + ";.*PIXELRNN_DATA"):
            module.prepare_data()
        assert _no_debris(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", _fails(number))
        with pytest.raises(DataError, match=os.strerror(number)):
            module.prepare_data()
        assert _no_debris(tmp_path)
    module.prepare_data()
    assert _is_whole(module, images)


def test_too_little_space_is_said_before_the_work(remote, monkeypatch):
    module, _ = remote("good")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(DataError, match="bytes are needed, 0 are free; free some space or choose"):
        module.prepare_data()


def test_a_full_disc_for_real(tmp_path):
    """/dev/full says ENOSPC on every write."""
    with (
        pytest.raises(DataError, match="No space left"),
        disk.explained(tmp_path),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_for_real(remote, tmp_path):
    module, _ = remote("good")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataError, match="Permission denied; allow reading and writing"):
            module.prepare_data()
    finally:
        tmp_path.chmod(0o700)


def test_no_permission(remote, monkeypatch):
    module, _ = remote("good")
    monkeypatch.setattr("pathlib.Path.mkdir", _fails(errno.EACCES))
    with pytest.raises(DataError, match="Permission denied; allow reading and writing"):
        module.prepare_data()


def test_the_root_may_be_read_only_once_all_is_there(remote, monkeypatch):
    module, images = remote("good")
    module.prepare_data()
    monkeypatch.setattr("pathlib.Path.mkdir", _fails(errno.EROFS))
    monkeypatch.setattr("os.replace", _fails(errno.EROFS))
    module.prepare_data()
    module.setup()
    assert _is_whole(module, images)


def test_the_table_is_complete():
    for source in SOURCES.values():
        assert set(source.files) == set(source.parts)
        for group in source.files.values():
            for file in group:
                assert re.fullmatch("[0-9a-f]{64}", file.sha256)
                assert file.urls or "{path}" in source.by_hand
                assert all(url.endswith(f"/{file.published or file.name}") for url in file.urls)
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in source.members.values())


def test_a_repacked_zip_is_taken_if_its_members_are_the_known_ones(tmp_path):
    module, images = stored_sets.imagenet(tmp_path, "imagenet32_box")
    members = {}
    for path in (tmp_path / "raw").iterdir():
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        members |= {n.rsplit("/")[-1]: hashlib.md5(c).hexdigest() for n, c in content.items()}
        raw.write_zip(path, {"another_folder/" + n.rsplit("/")[-1]: c for n, c in content.items()})
    with pytest.raises(DataError, match="is damaged"):
        module.prepare_data()
    module.image_set.source = replace(module.image_set.source, members=members)
    module.prepare_data()
    assert _is_whole(module, images)
