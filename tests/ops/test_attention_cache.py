"""Attention over a cache, position by position: what its definition says."""

import pytest
import torch

from pixelrnn import threads
from pixelrnn.ops import attention
from pixelrnn.ops.attention_cache import NativeCache, PlainCache, kind_for
from pixelrnn.ops.recorded import Recording
from pixelrnn.ops.tapes import Tape

KINDS = pytest.mark.parametrize("kind", [NativeCache, PlainCache])


def drawn(n, batch=2, heads=3, key=3, value=5, dtype=torch.float32):
    shapes = [(batch, heads, n, width) for width in (key, key, value)]
    return [torch.randn(shape, dtype=dtype) for shape in shapes]


class Walk:
    """A cache, and what is bound to it: the heads are asked in two parts."""

    def __init__(self, kind, batch, heads, key, value, room, dtype=torch.float32):
        like = torch.zeros(batch, 1, dtype=dtype)
        self.memory = kind.start(like, heads, (key, value), room)
        for part in self.memory:  # nothing of what is not known may be used
            part.fill_(torch.nan)
        self.cache = kind(*self.memory, value)
        self.content = torch.empty(batch, heads * (key + value), dtype=dtype)
        self.remember = self.cache.remember(self.content)
        self.out = torch.full((batch, heads, value), torch.nan, dtype=dtype)
        self.parts = [slice(0, heads // 2), slice(heads // 2, heads)]
        self.attends = [self.cache.attend(part, self.out[:, part]) for part in self.parts]

    def attend(self, query):
        for part, attend in zip(self.parts, self.attends, strict=True):
            attend(query[:, part].contiguous())
        return self.out.clone()

    def take(self, key, value):
        self.content.copy_(torch.cat([key.flatten(1), value.flatten(1)], dim=1))
        self.remember()

    def grow(self, room):
        self.memory = self.cache.longer(*self.memory, room)
        self.cache.move(*self.memory)


def filled(query, key, value, kind, room=48):
    """All positions over a cache, one after the other: (B, h, N, V). Its memory grows once."""
    batch, heads, n, width = query.shape
    walk = Walk(kind, batch, heads, width, value.shape[-1], min(room, 16), query.dtype)
    outputs = []
    for position in range(n):
        if position == 16:
            walk.grow(room)
        outputs.append(walk.attend(query[:, :, position]))
        walk.take(key[:, :, position], value[:, :, position])
    return torch.stack(outputs, dim=2)


@KINDS
@pytest.mark.parametrize(
    "sizes", [{}, {"heads": 1, "value": 33}, {"value": 23}, {"key": 1, "value": 1}, {"batch": 0}]
)
@pytest.mark.parametrize("n", [1, 16, 17, 35])
def test_it_is_the_attention_of_each_position(n, sizes, kind):
    given = drawn(n, **sizes)
    expected = attention.reference(*(x.double() for x in given)).float()
    torch.testing.assert_close(filled(*given, kind), expected, rtol=1e-5, atol=1e-6)


def test_in_other_dtypes_by_torch():
    given = drawn(20, dtype=torch.float64)
    kind = kind_for(given[0])
    assert kind is PlainCache
    torch.testing.assert_close(
        filled(*given, kind), attention.reference(*given), rtol=1e-12, atol=1e-12
    )
    assert kind_for(torch.zeros(1)) is NativeCache


@KINDS
def test_large_scores_do_not_overflow(kind):
    query, key, value = drawn(20)
    expected = attention.reference(query * 1e3, key, value)
    found = filled(query * 1e3, key, value, kind)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_an_image_is_the_same_to_the_last_bit_in_any_batch_and_on_any_threads():
    given = drawn(40, batch=9, value=37)
    with threads.limited(1):
        together = filled(*given, NativeCache)
    for members, count in ((slice(None), 3), (slice(4, 5), 1), (slice(2, 8), 2)):
        with threads.limited(count):
            alone = filled(*(x[members] for x in given), NativeCache)
        assert torch.equal(alone, together[members])
    query, *many = drawn(590, batch=40, heads=1, key=8, value=16)  # enough for threads
    results = []
    for count in (1, 3):
        walk = Walk(NativeCache, 40, 1, 8, 16, 590)
        walk.cache.move(*walk.memory)
        with threads.limited(count):
            for position in range(590):
                walk.take(*(x[:, :, position] for x in many))
            results.append(walk.attend(query[:, :, 0]))
    assert torch.equal(*results)


def test_a_recording_repeats_it_over_what_is_known_by_then():
    """Also after the memory has moved."""
    query, key, value = drawn(20)
    walk, expected = (Walk(NativeCache, 2, 3, 3, 5, 16) for _ in range(2))
    given = torch.empty(2, 9)

    def at(column, one):
        given.copy_(query[:, :, column].flatten(1))
        one.content.copy_(torch.cat([x[:, :, column].flatten(1) for x in (key, value)], dim=1))

    def work(one):
        for part, attend in zip(one.parts, one.attends, strict=True):
            attend(given.unflatten(1, (3, 3))[:, part])
        one.remember()

    recordings = []
    for column in range(2):
        at(column, walk)
        with Recording() as recording:
            work(walk)
        assert not recording.failed
        recordings.append(recording)
        at(column, expected)
        work(expected)
    tape = Tape(recordings[0], 0, recordings[1], 1)
    for column in range(2, 20):
        if column == 16:
            for one in (walk, expected):
                one.grow(32)
        at(column, walk)
        tape(column)
        at(column, expected)
        work(expected)
        assert torch.equal(walk.out, expected.out)


def test_torch_is_not_repeated():
    walk = Walk(PlainCache, 2, 3, 3, 5, 16)
    for work in (walk.remember, lambda: walk.attend(torch.zeros(2, 3, 3))):
        with Recording() as recording:
            work()
        assert recording.failed


def test_what_the_kernel_cannot_read_is_refused():
    keys, values = NativeCache.start(torch.zeros(2, 1), 2, (3, 4), 16)
    for wrong in (
        (keys[..., :15], values),
        (keys, values[..., :4]),
        (keys.double(), values),
        (keys.transpose(3, 4).contiguous().transpose(3, 4), values),
    ):
        with pytest.raises(ValueError, match="no cache"):
            NativeCache(*wrong, 4)
    cache = NativeCache(keys, values, 4)
    attend = cache.attend(slice(None), torch.zeros(2, 2, 4))
    for query in (torch.zeros(2, 2, 4), torch.zeros(2, 2, 3).double()):
        with pytest.raises(ValueError, match="expected float32"):
            attend(query)
    with pytest.raises(ValueError, match="side by side"):
        attend(torch.zeros(2, 3, 2).transpose(1, 2))
    remember = cache.remember(torch.zeros(2, 14))
    for _ in range(16):
        remember()
    with pytest.raises(ValueError, match="full"):
        remember()
