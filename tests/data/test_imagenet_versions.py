"""The two sets called downsampled ImageNet are never taken for each other."""

import numpy as np
import pytest

from pixelrnn.data import DownsampledImageNet
from pixelrnn.data.registry import SOURCES
from pixelrnn.errors import DataError
from tests.data import raw_formats as raw
from tests.data import stored_sets


def _names_both(message):
    return all(
        text in message
        for text in ("imagenet32_oord", "imagenet32_box", "0.26 bits/dim", "never compare")
    )


@pytest.mark.parametrize("version", ["imagenet32_oord", "imagenet32_box"])
def test_the_other_count_is_refused(version, tmp_path):
    module, _ = stored_sets.imagenet(tmp_path, version)
    for counts in ({"train": 21, "valid": 10}, {"train": 20, "valid": 9}):
        files = dict(module.image_set.source.files)
        module.image_set.source = raw.spec(SOURCES[version], counts, files, members={})
        with pytest.raises(DataError, match=r"expected \d+") as caught:
            module.prepare_data()
        assert _names_both(str(caught.value))
        assert not module.image_set.store.ready()


def test_the_other_file_under_this_name_is_refused(tmp_path):
    oord, _ = stored_sets.imagenet(tmp_path / "a", "imagenet32_oord")
    box, _ = stored_sets.imagenet(tmp_path / "b", "imagenet32_box")
    ours = tmp_path / "a" / "raw" / oord.image_set.source.files["train"][0].name
    other = tmp_path / "b" / "raw" / box.image_set.source.files["train"][0].name
    ours.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match="is damaged") as caught:
        oord.prepare_data()
    assert _names_both(str(caught.value))


def test_counts_differ_as_published():
    for size in (32, 64):
        assert SOURCES[f"imagenet{size}_oord"].parts == {"train": 1_281_149, "valid": 49_999}
        assert SOURCES[f"imagenet{size}_box"].parts == {"train": 1_281_167, "valid": 50_000}


def test_converted_files_of_one_are_not_read_as_the_other(tmp_path):
    oord, _ = stored_sets.imagenet(tmp_path, "imagenet32_oord")
    oord.prepare_data()
    other = DownsampledImageNet(version="imagenet32_box", root=tmp_path)
    other.image_set.store.folder.symlink_to(oord.image_set.store.folder)
    assert not other.image_set.store.ready()
    with pytest.raises(DataError):
        other.setup()


@pytest.mark.parametrize("in_memory", [False, True])
def test_validation_may_be_cut_from_training(in_memory, tmp_path):
    module, images = stored_sets.imagenet(tmp_path, val_size=4, in_memory=in_memory)
    module.prepare_data()
    np.testing.assert_array_equal(module.images("train"), images["train"][:-4])
    np.testing.assert_array_equal(module.images("val"), images["train"][-4:])
    np.testing.assert_array_equal(module.images("test"), images["valid"])
    assert isinstance(module.images("train"), np.memmap) != in_memory


@pytest.mark.parametrize("version", ["imagenet32_oord", "imagenet32_box"])
def test_conversion_holds_a_block_in_memory_and_no_more(version, tmp_path):
    import tracemalloc

    module, images = stored_sets.imagenet(tmp_path, version, count=3000)
    tracemalloc.start()
    module.prepare_data()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.7 * 1024 * 3072 * 2 + 3_000_000 < images["train"].nbytes * 2
