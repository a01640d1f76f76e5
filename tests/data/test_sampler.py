import itertools

import numpy as np
import pytest

from pixelrnn.data.sampler import BatchOrder


def indices(order, epoch=0):
    order.set_epoch(epoch)
    return [batch.indices.tolist() for batch in order]


def test_every_image_once_and_the_last_batch_may_be_smaller():
    order = BatchOrder(10, 4, seed=3)
    batches = indices(order)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [order.images_in(index) for index in range(len(order))] == [4, 4, 2]
    assert sorted(itertools.chain(*batches)) == list(range(10))


def test_order_is_a_function_of_seed_and_epoch():
    first, second = BatchOrder(50, 8, seed=3), BatchOrder(50, 8, seed=3)
    assert indices(first, 5) == indices(second, 5)
    assert indices(first, 5) != indices(first, 6)
    assert indices(first, 5) != indices(BatchOrder(50, 8, seed=4), 5)
    assert indices(BatchOrder(5, 2, seed=None)) == [[0, 1], [2, 3], [4]]


def test_skip_leaves_out_what_was_done_once():
    whole = indices(BatchOrder(10, 3, seed=1), 2)
    order = BatchOrder(10, 3, seed=1, skip=2)
    assert len(order) == 4
    assert indices(order, 2) == whole[2:]
    assert len(indices(order, 3)) == 4


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_each_batch(world):
    parts = [indices(BatchOrder(11, 4, seed=1, rank=r, world=world)) for r in range(world)]
    whole = indices(BatchOrder(11, 4, seed=1))
    for number, batch in enumerate(whole):
        assert sorted(itertools.chain(*(part[number] for part in parts))) == sorted(batch)


def test_batches_know_their_epoch():
    order = BatchOrder(4, 2, seed=0)
    order.set_epoch(7)
    assert {batch.epoch for batch in order} == {7}
    assert all(isinstance(batch.indices, np.ndarray) for batch in order)
