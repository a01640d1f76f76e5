"""Portable mode: the same tables whatever the batch, the instructions, threads and compiler."""

import io
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

import pixelrnn
from pixelrnn.compression import container, portable, sources, tables
from pixelrnn.compression.numerics import Walker
from pixelrnn.errors import CompressionError
from tests.compression.test_codec import nats
from tests.helpers import CATALOGUE, name_of, random_images
from tests.models.test_conditioning import CLASSES, Conditioned

SPREAD = torch.cat([torch.randn(2000, dtype=torch.float64) * scale for scale in (1e-4, 1, 30)])


class Recorded:
    """Walks over given images; keeps the tables."""

    def __init__(self, images):
        self.images, self.tables = images, []

    def __call__(self, log_probs, position):
        self.tables.append(tables.of_distributions(log_probs))
        row, column, color = position
        return self.images[:, color, row, column]


def recorded(walker, images, labels=None):
    """Integer tables (sub-pixels, B, levels)."""
    source = Recorded(images)
    sources.walk(walker, source, len(images), labels)
    return np.stack(source.tables)


@pytest.mark.parametrize(
    ("ours", "theirs", "x"),
    [
        (portable.exp, torch.exp, SPREAD),
        (portable.expm1, torch.expm1, SPREAD.clamp(max=1)),
        (portable.log, torch.log, SPREAD.abs() + 1e-9),
        (portable.tanh, torch.tanh, SPREAD),
        (portable.sigmoid, torch.sigmoid, SPREAD),
        (portable.log_sigmoid, torch.nn.functional.logsigmoid, SPREAD),
        (portable.softmax, lambda x: x.softmax(-1), SPREAD.view(-1, 4)),
        (portable.log_softmax, lambda x: x.log_softmax(-1), SPREAD.view(-1, 4)),
        (portable.logsumexp, lambda x: x.logsumexp(-1), SPREAD.view(-1, 4)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_functions_are_those_of_torch(ours, theirs, x):
    """A sum is rounded to 2^-30, so what divides by one is that near."""
    assert torch.allclose(ours(x), theirs(x), rtol=1e-14, atol=4e-9)


def test_products_do_not_depend_on_the_order_of_their_sums():
    torch.manual_seed(0)
    weight, x = torch.randn(700, 9).double(), torch.randn(5, 700).double() * 20
    order = torch.randperm(700)
    with portable.Portable():
        found, other = x @ weight, x[:, order] @ weight[order]
        parts = x[:, :333] @ weight[:333] + x[:, 333:] @ weight[333:]
        wide = (x.repeat(40, 1) @ weight)[:5]
    assert torch.equal(found, other)
    assert torch.equal(found, wide)
    assert torch.allclose(found, parts, atol=0.01)
    assert torch.allclose(found, x @ weight, atol=0.01)
    assert not torch.equal(x @ weight, x[:, order] @ weight[order])  # float64 alone: it does


def test_operations_that_are_not_known_are_refused():
    with portable.Portable(), pytest.raises(CompressionError, match="cannot compute cumsum"):
        SPREAD.cumsum(0)
    with portable.Portable(), pytest.raises(CompressionError, match="cannot compute add"):
        torch.add(SPREAD, SPREAD, alpha=0.3)


@pytest.mark.parametrize("levels", [pytest.param(2, marks=pytest.mark.slow), 256])
@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_an_image_has_the_same_tables_in_any_batch(case, levels):
    image_shape = (3, 3, 4)
    model = case(image_shape, levels, dtype=torch.float32, scale=0.5)
    walker, images = Walker(model, "portable"), random_images(5, image_shape, levels)
    together = recorded(walker, images)
    for index in (0, 3):
        alone = recorded(walker, images[index : index + 1])
        assert np.array_equal(alone[:, 0], together[:, index])


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_portable_files_come_back_at_hardly_more_bits(case, monkeypatch):
    monkeypatch.setattr(container.Header, "raw_bytes", lambda header, images: 10**6)  # not raw
    model = case((3, 4, 3), 16, dtype=torch.float32, scale=0.5)
    images = model.sample(20)
    data = pixelrnn.compress(model, images, mode="portable", verify=False)
    assert torch.equal(pixelrnn.decompress(model, data), images)
    bits = nats(model, images) / np.log(2)
    assert 8 * len(pixelrnn.compress(model, images)) + 8 * 8 >= 8 * len(data) - 0.001 * bits


def test_labels_and_other_machines(monkeypatch):
    model = Conditioned((3, 3, 4), 4, 3).eval()
    labels = torch.arange(10) % CLASSES
    images = model.sample(10, labels)
    data = pixelrnn.compress(model, images, labels, mode="portable")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
    assert torch.equal(pixelrnn.decompress(model, data), images)


DECODE = """
import sys, torch, pixelrnn
from pixelrnn.errors import CompressionError
torch.set_num_threads(int(sys.argv[1]))
for case in torch.load("cases.pt", weights_only=False):
    model, images, fast, *portable = case
    for file in portable:
        assert torch.equal(pixelrnn.decompress(model, file), images)
    try:
        assert torch.equal(pixelrnn.decompress(model, fast, machine=sys.argv[2]), images)
        print("decoded")
    except CompressionError as error:
        print("refused")
"""


PAPER = ("pixelcnn", "row_lstm", "diagonal_bilstm-full")
FAMILY = (*PAPER, "pixelcnn-mixtures", "gated_pixelcnn", "pixelsnail", "multi_scale")


@lru_cache
def files_of(names, batch_sizes):
    """Models, images, a fast file, and portable ones of each batch size; as torch saves them."""
    cases = []
    for case in CATALOGUE:
        if case.name in names:
            model = case((3, 6, 4), 16, dtype=torch.float32, scale=0.5)
            images = model.sample(8)
            portable = [
                pixelrnn.compress(model, images, mode="portable", batch_size=size, verify=False)
                for size in batch_sizes
            ]
            cases.append((model, images, pixelrnn.compress(model, images), *portable))
    file = io.BytesIO()
    torch.save(cases, file)
    return file.getvalue()


def decoded_elsewhere(names, threads, machine="same", batch_sizes=(64,), **environment):
    """Decode the files of some models in a process with another environment."""
    Path("cases.pt").write_bytes(files_of(names, batch_sizes))
    result = subprocess.run(
        [sys.executable, "-c", DECODE, str(threads), machine],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.long
def test_another_instruction_set_decodes_portable_files_alone():
    assert decoded_elsewhere(PAPER, 1, ATEN_CPU_CAPABILITY="default") == ["refused"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["same", "any"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "environment",
    [
        {"ATEN_CPU_CAPABILITY": "avx2"},
        {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
        {"ONEDNN_MAX_CPU_ISA": "SSE41"},
        {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        {"CXX": "no-such-compiler", "PATH": "/nowhere", "XDG_CACHE_HOME": "cache"},
    ],
    ids=lambda environment: next(iter(environment.items())),
)
def test_other_environments(environment, threads, machine):
    """What is refused is refused, what is decoded is right; never a wrong pixel."""
    outcomes = decoded_elsewhere(FAMILY, threads, machine, (1, 64), **environment)
    assert set(outcomes) <= {"refused", "decoded"}
    if machine == "same" and not environment.keys() & {"ONEDNN_MAX_CPU_ISA"}:
        assert outcomes == ["refused"] * len(FAMILY)
