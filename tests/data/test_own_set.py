"""A user's own data set, outside the package: one file of Python, one file of configuration.

This is the example that data/README.md points to. The set is a folder of .npy files, one for each
split: `train.npy`, `val.npy`, `test.npy`, uint8 (N, C, H, W).
"""

import numpy as np
import pytest

from pixelrnn.cli import data as verb
from pixelrnn.data.content import digest_of_files
from pixelrnn.errors import ConfigError, DataError
from pixelrnn.results import shipped

MODULE = '''
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from pixelrnn.arguments import Levels, Split
from pixelrnn.data import ImageSet, served
from pixelrnn.data.content import digest_of_files


@dataclass
class FolderImages(ImageSet):
    """Arrays of a folder.

    Args:
        path: the folder.
        levels: number of values of a pixel.
    """

    path: Path
    levels: Levels = 256

    def __post_init__(self) -> None:
        array = np.load(self.path / "val.npy", mmap_mode="r")
        self.image_shape = array.shape[1:]
        self.dataset_id = self.path.name

    def load(self, split: Split) -> np.ndarray:
        return np.load(self.path / f"{split}.npy")

    @property
    def content_id(self) -> str:
        return digest_of_files(self.path, self.path.glob("*.npy"))


Folder = served(FolderImages, batch_size=8)
'''

CONF = """
defaults: [/loader@_here_, _self_]
_target_: my_folder.Folder
path: ???
levels: 16
batch_size: 8
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the user's module, configuration and arrays."""
    (tmp_path / "my_folder.py").write_text(MODULE)
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "folder.yaml").write_text(CONF)
    (tmp_path / "flowers").mkdir()
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 12), ("test", 9)):
        images = random.integers(16, size=(count, 1, 5, 6), dtype=np.uint8)
        np.save(tmp_path / "flowers" / f"{split}.npy", images)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    monkeypatch.delitem(__import__("sys").modules, "my_folder", raising=False)


def _module(project, **keys):
    overrides = {"data.path": str(project / "flowers")} | keys
    folders = [shipped.conf(), project / "conf"]
    return verb.built("folder", folders, overrides, project)


def test_it_is_listed_described_and_checked(project, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    common = (f"config_dir={project / 'conf'}", f"paths.data={project / 'data'}")
    verb.main(["folder", f"data.path={project / 'flowers'}", *common])
    text = capsys.readouterr().out
    for expected in ("1 x 5 x 6", "16", "40", "12", "9", str(project / "data" / "flowers.png")):
        assert expected in text
    with pytest.raises(ConfigError, match=r"data=folder needs data\.path="):
        verb.main(["folder", *common])
    with pytest.raises(ConfigError, match=r"data\.levels=70000: input should be less than or"):
        _module(project, **{"data.levels": 70000})
    with pytest.raises(ConfigError, match=r"data\.on_devise: no such key; did you mean"):
        _module(project, **{"data.on_devise": True})


def test_it_is_served_as_any_other(project):
    module = _module(project, **{"data.num_workers": 1, "data.eval_batch_size": 5})
    module.prepare_data()
    module.setup()
    assert [len(batch.images) for batch in module.train_dataloader()] == [8] * 5
    assert [len(batch.images) for batch in module.eval_dataloader("val")] == [5, 5, 2]
    assert module.labels("train") is None
    assert _module(project, **{"data.on_device": True}).on_device


def test_changed_content_is_another_data_set(project):
    def content():
        return _module(project).content_id

    first = content()
    assert first == content()
    path = project / "flowers" / "val.npy"
    images = np.load(path)
    images[3, 0, 2, 2] ^= 1
    np.save(path, images)
    changed = content()
    assert changed != first
    images[3, 0, 2, 2] ^= 1
    np.save(path, images)
    assert content() == first
    path.rename(path.with_name("valid.npy"))
    np.save(path, np.load(path.with_name("valid.npy")))
    assert content() not in (first, changed)


def test_a_moved_folder_keeps_its_content_id(project):
    first = digest_of_files(project / "flowers", (project / "flowers").glob("*.npy"))
    (project / "flowers").rename(project / "elsewhere")
    moved = project / "elsewhere"
    assert digest_of_files(moved, moved.glob("*.npy")) == first
    with pytest.raises(DataError, match="no data files"):
        digest_of_files(moved, moved.glob("*.png"))
    with pytest.raises(DataError, match="gone"):
        digest_of_files(moved, [moved / "gone"])


def test_the_sets_of_the_package_are_determined_by_their_arguments():
    for name in ("digits", "mesh", "mnist"):
        folders = [shipped.conf()]
        assert verb.built(name, folders, {}, "nowhere").content_id is None
