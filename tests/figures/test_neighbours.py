"""Nearest training images: exact, in blocks or whole, and a planted copy is found."""

import numpy as np
import pytest

from pixelrnn.figures import neighbours


def images(n, seed, shape=(3, 2, 4), levels=256):
    return np.random.default_rng(seed).integers(levels, size=(n, *shape), dtype=np.uint8)


def by_definition(queries, training, k):
    far = [[np.linalg.norm(q.astype(float) - t.astype(float)) for t in training] for q in queries]
    indices = np.argsort(far, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(np.array(far), indices, 1), indices


@pytest.mark.parametrize("block", [1, 24 * 7, 1 << 24])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_they_are_those_of_the_definition(k, block, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    queries, training = images(5, 0), images(20, 1)
    found = neighbours.nearest(queries, training, k)
    distances, indices = by_definition(queries, training, k)
    assert np.array_equal(found.indices, indices)
    assert np.allclose(found.distances, distances)


def test_a_planted_copy_is_found_and_ties_go_to_the_first():
    queries, training = images(4, 0), images(30, 1)
    training[[11, 17]] = queries[2]
    training[23] = queries[2]
    training[23, 0, 0, 0] ^= 1
    found = neighbours.nearest(queries, training, 3)
    assert found.indices[2].tolist() == [11, 17, 23]
    assert found.distances[2].tolist() == [0, 0, 1]
    assert found.distances[[0, 1, 3], 0].min() > 1


def test_a_memory_map_does_as_well(tmp_path):
    np.save(tmp_path / "train.npy", images(9, 1))
    mapped = np.load(tmp_path / "train.npy", mmap_mode="r")
    expected = neighbours.nearest(images(3, 0), images(9, 1), 2)
    assert np.array_equal(neighbours.nearest(images(3, 0), mapped, 2).indices, expected.indices)


def test_no_queries_have_no_neighbours():
    assert neighbours.nearest(images(0, 0), images(3, 1)).distances.shape == (0, 1)


def test_the_picture_shows_the_most_suspicious_samples():
    samples, training, unseen = images(9, 0), images(30, 1), images(7, 2)
    training[5] = samples[8]
    drawn = neighbours.figure(samples, training, unseen, 256, k=2, show=4, name="mine")
    pictures = [ax for ax in drawn.axes if ax.get_images()]
    assert len(pictures) == 4 * 3
    for ax, image in ((pictures[0], samples[8]), (pictures[1], training[5])):
        assert np.allclose(ax.get_images()[0].get_array(), image.transpose(1, 2, 0) / 255)
    assert pictures[1].get_xlabel() == "0.0"
    (plot,) = [ax for ax in drawn.axes if not ax.get_images()]
    assert "1 of 9 samples are copies" in plot.get_title()
    assert plot.get_xlabel() == "distance to the nearest training image, levels"
    median = np.median(neighbours.nearest(unseen, training).distances)
    texts = [text.get_text() for text in drawn.subfigs[1].legends[0].get_texts()]
    assert texts[1] == f"7 unseen images, median {median:.1f}"
