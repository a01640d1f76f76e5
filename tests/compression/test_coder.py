"""Tables are whole numbers of a fixed sum; the library codes with exactly these."""

import numpy as np
import pytest
import torch

from pixelrnn.compression import raw, tables
from pixelrnn.compression.coder import Decoder, Encoder
from pixelrnn.errors import CompressionError
from tests.helpers import random_images

LEVELS = [2, 3, 16, 256]
MANY = [*LEVELS, 65_536]


def peaked(n, levels, seed=0):
    """Log-probabilities from nearly flat to nearly certain: (n, levels)."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(-2, 3, n)[:, None]
    return (torch.randn(n, levels, generator=generator) * scale).log_softmax(-1)


def drawn(table, seed=0):
    """A symbol of each table, by its frequencies; now and then an unlikely one."""
    generator = np.random.default_rng(seed)
    shares = tables.frequencies(table) / tables.TOTAL
    symbols = [generator.choice(len(row), p=row) for row in shares]
    return np.where(np.arange(len(table)) % 7 == 0, table.argmin(1), symbols)


@pytest.mark.parametrize("levels", MANY)
def test_tables_are_whole_positive_and_of_one_sum(levels):
    for dtype in (torch.float32, torch.float64):
        table = tables.of_distributions(peaked(300, levels).to(dtype))
        assert table.dtype == np.float32
        assert table.flags.c_contiguous
        found = tables.frequencies(table)
        assert np.array_equal(found, table.astype(float) + 1)  # whole numbers
        assert found.min() >= 1
        assert (found.sum(1) == tables.TOTAL).all()


@pytest.mark.parametrize("levels", LEVELS)
def test_a_symbol_costs_what_its_probability_says(levels):
    log_probs = peaked(300, levels).double()
    log_probs = log_probs.log_softmax(-1)
    ideal = -log_probs.numpy() / np.log(2)
    most = -np.log2(1 - levels / tables.TOTAL)
    cost = tables.BITS - np.log2(tables.frequencies(tables.of_distributions(log_probs)))
    assert (cost - ideal).max() <= most + 1e-12
    single = log_probs.float()  # rounded to 24 bits, of which large surprises keep few
    cost = tables.BITS - np.log2(tables.frequencies(tables.of_distributions(single)))
    assert (cost - ideal)[ideal < 24].max() <= most + 1e-5


def test_certainty_keeps_a_way_for_the_impossible():
    log_probs = torch.tensor([[0.0, -torch.inf, -torch.inf]])
    table = tables.of_distributions(log_probs)
    assert tables.frequencies(table).tolist() == [[tables.TOTAL - 2, 1, 1]]


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_what_is_no_distribution_is_refused(wrong):
    with pytest.raises(CompressionError, match="not finite"):
        tables.of_distributions(torch.tensor([[0.0, 0.0], [0.0, wrong]]))


def whole_number_decoder(data, table):
    """A range decoder in Python's whole numbers: 64 bits of state, words of 32 bits."""
    words = [*map(int, np.frombuffer(data, "<u4")), 0, 0, 0]
    point, following = (words[0] << 32) | words[1], iter(words[2:])
    lower, width, symbols = 0, 2**64 - 1, []
    for row in tables.frequencies(table).tolist():
        scale = width >> tables.BITS
        quantile = ((point - lower) % 2**64) // scale
        ends = np.cumsum(row)
        symbols.append(int(np.searchsorted(ends, quantile, side="right")))
        frequency = row[symbols[-1]]
        left = int(ends[symbols[-1]]) - frequency
        lower, width = (lower + scale * left) % 2**64, scale * frequency
        if width < 2**32:
            lower, width = (lower << 32) % 2**64, width << 32
            point = ((point << 32) % 2**64) | next(following)
    return symbols


@pytest.mark.parametrize(("levels", "count"), [*((one, 1500) for one in LEVELS), (65_536, 40)])
def test_the_library_codes_with_our_tables_to_the_last_unit(levels, count):
    table = tables.of_distributions(peaked(count, levels))
    symbols = drawn(table)
    encoder = Encoder()
    for part in (slice(0, count // 2), slice(count // 2, count)):
        encoder.encode(symbols[part], table[part])
    data = encoder.bytes()
    assert whole_number_decoder(data, table) == symbols.tolist()
    assert Decoder(data).decode(table).tolist() == symbols.tolist()
    assert encoder.bits == 8 * len(data)
    assert tables.bits(table, symbols) <= 8 * len(data) <= tables.bits(table, symbols) + 64


def test_symbols_are_checked():
    table = tables.of_distributions(torch.zeros(2, 4))
    for symbols in ([0, 4], [-1, 0]):
        with pytest.raises(CompressionError, match="outside of the 4 levels"):
            Encoder().encode(np.array(symbols), table)
    with pytest.raises(CompressionError, match="whole words"):
        Decoder(b"123")


@pytest.mark.parametrize("levels", [*LEVELS, 257, 1000, 65_536])
def test_raw_pixels_are_packed_bit_by_bit(levels):
    images = random_images(3, (3, 5, 3), levels)
    data = raw.packed(images, levels)
    assert len(data) == -(-3 * 45 * (levels - 1).bit_length() // 8)
    found = raw.unpacked(data, 3, (3, 5, 3), levels)
    assert found.dtype == images.dtype
    assert torch.equal(found, images)
    with pytest.raises(CompressionError, match="wrong length"):
        raw.unpacked(data[:-1], 3, (3, 5, 3), levels)
