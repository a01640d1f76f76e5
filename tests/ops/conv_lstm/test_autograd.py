import itertools
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from pixelrnn.errors import CompilerError, ConfigError, KernelError, PixelRNNError
from pixelrnn.native import compiler
from pixelrnn.ops import choices, skew
from pixelrnn.ops.conv_lstm import autograd, cell, dispatch, loops, native_loops, reference
from pixelrnn.ops.conv_lstm.active_positions import active_positions
from pixelrnn.ops.conv_lstm.dispatch import Kernel, conv_lstm
from pixelrnn.ops.conv_lstm.interfaces import Call
from pixelrnn.runs import check

TAPS = [(1, 0), (2, 1), (2, 0), (3, 1)]
SIZES = [(1, 1, 1, 1, 1), (2, 4, 3, 2, 5), (1, 5, 1, 3, 17), (2, 1, 4, 1, 2), (1, 3, 5, 2, 16)]
SIZES += [(2, 4, 3, 0, 5), (2, 4, 3, 1, 17)]  # an empty batch, and one of a single image
FROZEN = {
    "free": lambda steps, positions: None,
    "skewed": lambda steps, positions: skew.outside_image(positions, max(1, steps - positions + 1))[
        :steps
    ],
    "entering": lambda steps, positions: torch.arange(steps)[:, None] < torch.arange(positions),
    "all": lambda steps, positions: torch.ones(steps, positions, dtype=torch.bool),
}


@pytest.fixture(autouse=True)
def _uninitialised_memory_is_nan():
    torch.use_deterministic_algorithms(True)
    assert torch.zeros(1).new_empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def draw(directions, steps, positions, batch, features, taps, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [
        (directions, steps, positions, batch, 4 * features),
        (directions, taps, features, 4 * features),
        (directions, features),
        (directions, features),
        (directions, steps, positions, batch, features),
    ]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    *inputs, upstream = [tensor.to(dtype) for tensor in drawn]
    return [tensor.requires_grad_() for tensor in inputs], upstream


def values_and_gradients(rung, inputs, upstream, *options):
    hidden = rung(*inputs, *options)
    return [hidden, *torch.autograd.grad(hidden, inputs, upstream.to(hidden.dtype))]


def worst(ours, theirs):
    """Largest difference of any value or gradient, relative to the largest entry of its tensor."""
    differences = []
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert a.isfinite().all()
        if a.numel() == 0:
            continue
        scale = b.abs().max().clamp(min=1)
        differences.append(((a.double() - b.double()).abs().max() / scale).item())
    return max(differences)


# A few hundred roundings add up at these sizes: 100 times the spacing of the numbers.
TOLERANCE = {torch.float64: 100 * 2.0**-53, torch.float32: 100 * 2.0**-24}


def overwriting(gates, *rest, **options):
    return autograd.conv_lstm(gates.clone(), *rest, overwrite=True, **options)


RUNGS = {
    "plain cell": partial(autograd.conv_lstm, compile="none"),
    "native cell": partial(autograd.conv_lstm, compile="native"),
    "native_loops": partial(autograd.conv_lstm, loops_for=native_loops.in_one_call),
    "plain cell, overwriting": partial(overwriting, compile="none"),
    "native cell, overwriting": partial(overwriting, compile="native"),
    "native_loops, overwriting": partial(overwriting, loops_for=native_loops.in_one_call),
}


@pytest.mark.parametrize("rung", RUNGS.values(), ids=RUNGS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_reference(size, frozen, dtype, rung):
    for taps, pad_before in TAPS:
        inputs, upstream = draw(*size, taps, dtype)
        options = pad_before, FROZEN[frozen](*size[1:3])
        ours = values_and_gradients(rung, inputs, upstream, *options)
        theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, *options)
        assert worst(ours, theirs) < TOLERANCE[dtype], (taps, pad_before)


@pytest.mark.slow  # it compiles
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("batch", [0, 1, 2])
@pytest.mark.parametrize("frozen", ["free", "skewed"])
def test_inductor_equals_reference(frozen, batch):
    """As GPUs run it: lines are views of one tensor, and gradients overwrite what was kept."""
    inputs, upstream = draw(2, 4, 3, batch, 5, 2, torch.float32)
    options = 1, FROZEN[frozen](4, 3)
    theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, *options)
    for rung in (autograd.conv_lstm, overwriting):
        compiled = partial(rung, compile="inductor")
        ours = values_and_gradients(compiled, inputs, upstream, *options)
        assert worst(ours, theirs) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("rung", RUNGS.values(), ids=RUNGS)
def test_bfloat16_is_no_worse_than_the_reference_in_bfloat16(rung):
    inputs, upstream = draw(2, 6, 5, 3, 16, 2, torch.bfloat16)
    frozen = skew.outside_image(5, 2)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    truth = values_and_gradients(reference.conv_lstm, exact, upstream.double(), 1, frozen)
    theirs = worst(values_and_gradients(reference.conv_lstm, inputs, upstream, 1, frozen), truth)
    ours = values_and_gradients(rung, inputs, upstream, 1, frozen)
    assert all(tensor.dtype == torch.bfloat16 for tensor in ours)
    assert worst(ours, truth) < 1.2 * theirs < 0.1


@pytest.mark.parametrize("rung", RUNGS.values(), ids=RUNGS)
@pytest.mark.parametrize("frozen", ["free", "skewed"])
def test_gradcheck(frozen, rung):
    inputs, _ = draw(2, 3, 2, 1, 2, 2)
    mask = FROZEN[frozen](3, 2)
    assert torch.autograd.gradcheck(lambda *x: rung(*x, 1, mask), inputs)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("gate", range(4))
def test_an_error_of_one_percent_is_seen(monkeypatch, direction, gate):
    honest = cell.PLAIN

    def forward(gates, products, *rest):
        honest.forward(gates, products, *rest)
        products.unflatten(-1, (4, -1))[..., gate, :].mul_(1.01)

    def backward(activations, grad_gates, *rest):
        honest.backward(activations, grad_gates, *rest)
        grad_gates.unflatten(-1, (4, -1))[..., gate, :].mul_(1.01)

    planted = {"forward": forward, "backward": backward}[direction]
    monkeypatch.setattr(loops, "cell_for", lambda *_: replace(honest, **{direction: planted}))
    inputs, upstream = draw(1, 4, 3, 2, 5, 3, torch.float32)
    ours = values_and_gradients(autograd.conv_lstm, inputs, upstream, 1, None)
    theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, 1, None)
    assert worst(ours, theirs) > 10 * TOLERANCE[torch.float32]


def test_second_derivative_is_refused():
    inputs, upstream = draw(1, 2, 2, 1, 2, 1)
    hidden = autograd.conv_lstm(*inputs, 0, None)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(hidden, inputs, upstream, create_graph=True)


def test_a_kept_graph_gives_the_same_gradients_again():
    inputs, upstream = draw(2, 4, 3, 2, 5, 2)
    hidden = autograd.conv_lstm(*inputs, 1, skew.outside_image(3, 2))
    first = torch.autograd.grad(hidden, inputs, upstream, retain_graph=True)
    again = torch.autograd.grad(hidden, inputs, upstream)
    assert all(map(torch.equal, first, again))


@pytest.mark.parametrize("width", [1, 3, 5])
def test_overlapping_gates(width):
    """The skewed view shares its storage, an expanded one repeats it: gradients stay apart."""
    height = 4
    (image, *others), _ = draw(2, height, width, 3, 2, 2)
    _, upstream = draw(2, height + width - 1, height, 3, 2, 2)
    one = image[:1].detach().requires_grad_()
    frozen = skew.outside_image(height, width)
    upstream = upstream * ~frozen[:, :, None, None]

    def run(rung, leaf, gates):
        return values_and_gradients(
            lambda *x: rung(gates(x[0]), *x[1:], 1, frozen), [leaf, *others], upstream
        )

    for leaf, gates in (
        (image, skew.skew),
        (one, lambda x: skew.skew(x.expand(2, -1, -1, -1, -1))),
    ):
        theirs = run(reference.conv_lstm, leaf, gates)
        assert worst(run(autograd.conv_lstm, leaf, gates), theirs) < TOLERANCE[torch.float64]
    whole = skew.skew(image).detach().requires_grad_()
    theirs = values_and_gradients(reference.conv_lstm, [whole, *others], upstream, 1, None)
    ours = values_and_gradients(autograd.conv_lstm, [whole, *others], upstream, 1, None)
    assert worst(ours, theirs) < TOLERANCE[torch.float64]


def test_inputs_are_left_alone_and_no_grad_gives_the_same_values():
    inputs, upstream = draw(2, 4, 3, 2, 5, 2)
    before = [tensor.detach().clone() for tensor in inputs]
    frozen = skew.outside_image(3, 2)
    hidden, *_ = values_and_gradients(autograd.conv_lstm, inputs, upstream, 1, frozen)
    assert all(map(torch.equal, before, inputs))
    with torch.no_grad():
        assert torch.equal(autograd.conv_lstm(*inputs, 1, frozen), hidden)


def test_autocast_keeps_the_cell_in_float32():
    """c grows by 0.01 a step; in bfloat16, spaced 1/64 above 2, it would stop growing."""
    steps = 300
    gates = torch.tensor([20.0, 20.0, 20.0, 0.01]).expand(1, steps, 1, 1, 4).clone()
    weight = torch.zeros(1, 1, 1, 4, requires_grad=True)
    zero = torch.zeros(1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = conv_lstm(gates, weight, zero, zero, pad_before=0, kernel="autograd")
    expected = torch.tanh(0.01 * torch.arange(1, steps + 1))
    assert hidden.dtype == torch.bfloat16
    assert torch.allclose(hidden.flatten().float(), expected, atol=2**-7)
    hidden.float().sum().backward()
    assert weight.grad.dtype == torch.float32


def test_auto_says_what_it_takes_and_why(caplog):
    inputs, _ = draw(1, 2, 2, 1, 2, 1)
    choices.forget()
    caplog.set_level("INFO")
    conv_lstm(*inputs, pad_before=0)
    broken = torch.tensor([[True, False, True], [False, True, False]])
    inputs, _ = draw(1, 2, 3, 1, 2, 1)
    conv_lstm(*inputs, pad_before=0, frozen=broken)
    wide, _ = draw(1, 2, 2, 1, native_loops.MAX_FEATURES + 1, 1)
    conv_lstm(*wide, pad_before=0)
    conv_lstm(*wide, pad_before=0, kernel=Kernel("native_loops"))
    assert caplog.messages[0] == "conv_lstm kernel: native_loops"
    assert "not autograd: frozen" in caplog.messages[1]
    assert caplog.messages[2].startswith(
        "conv_lstm kernel: autograd (not native_loops: slower for more"
    )
    assert caplog.messages[3] == "conv_lstm kernel: native_loops (kernel.name=native_loops)"
    assert choices.lines() == caplog.messages  # each once, however often it is called


def on_cuda():
    """A call whose tensors say that they lie on a GPU."""
    gates = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32, shape=(1, 1, 1, 1, 8))
    return Call(gates, None, None, None, 0, None)


@pytest.mark.parametrize("verdict", [None, "graphs are 0.90 times as fast"])
def test_auto_takes_graphs_where_they_were_found_right_and_faster(monkeypatch, verdict):
    asked = replace(dispatch.RUNGS["cuda_graph"], left_out=lambda *_: verdict)
    monkeypatch.setitem(dispatch.RUNGS, "cuda_graph", asked)
    taken = dispatch.RUNGS["autograd" if verdict else "cuda_graph"]
    choices.forget()
    assert dispatch.select_rung(Kernel(), on_cuda()) is taken
    assert bool(verdict) == (str(verdict) in choices.lines()[0])
    assert dispatch.select_rung(Kernel("cuda_graph"), on_cuda()) is asked


def test_stored_runs_may_call_a_rung_by_its_old_name():
    assert Kernel("native") == Kernel("native_loops")
    node = {"_target_": "pixelrnn.ops.conv_lstm.dispatch.Kernel", "name": "native"}
    assert check.converted(node, "kernel")["name"] == "native_loops"
    with pytest.raises(ConfigError, match=r"kernel\.name=nativ"):
        check.converted(node | {"name": "nativ"}, "kernel")
    with pytest.raises(ConfigError, match=r"kernel\.name="):
        check.converted(node | {"name": {"native": 1}}, "kernel")


def test_another_cell_by_name_is_not_for_the_native_loops():
    inputs, _ = draw(1, 2, 2, 1, 2, 1)
    with pytest.raises(ValueError, match="compile=none"):
        conv_lstm(*inputs, pad_before=0, kernel=Kernel("native_loops", "none"))
    assert (
        dispatch.select_rung(Kernel(compile="none"), Call(*inputs, 0, None))
        is dispatch.RUNGS["autograd"]
    )


def test_without_a_compiler_auto_takes_the_next_rung(monkeypatch):
    def none(_):
        raise CompilerError("no C++ compiler: install g++, or set CXX")

    monkeypatch.setattr(compiler, "library", none)
    inputs, _ = draw(1, 2, 2, 1, 2, 1)
    assert dispatch.select_rung(Kernel(), Call(*inputs, 0, None)) is dispatch.RUNGS["autograd"]
    with pytest.raises(ValueError, match="no C"):
        conv_lstm(*inputs, pad_before=0, kernel="native_loops")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_native_loops_give_the_same_bits_on_any_number_of_threads(threads):
    """Images do not meet in it; the batch is large enough to be shared out."""
    inputs, upstream = draw(2, 9, 5, 37, 20, 2, torch.float32)
    options = 1, skew.outside_image(5, 5)
    gates, weight, hidden, cell = (tensor.detach() for tensor in inputs)
    active = active_positions(options[1], 9, 5)
    before = torch.get_num_threads()
    results = []
    for number in (1, threads):
        torch.set_num_threads(number)
        states, activations, cells = native_loops.forward(
            gates, weight, hidden, cell, 1, active, True, None
        )
        grads = torch.empty_like(activations)
        saved = weight, activations, grads, None, cells
        grad_cell = native_loops.backward(upstream, *saved, 1, active)
        results.append([states, activations, cells, grads, grad_cell])
    torch.set_num_threads(before)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(
    ("kernel", "dtype", "says"),
    [
        (Kernel("autograd"), torch.float16, "kernel.name=autograd: no version for torch.float16"),
        (Kernel("cuda_graph"), torch.float32, "kernel.name=cuda_graph: it runs on cuda only"),
        (Kernel("native_loops", "none"), torch.float32, "kernel.compile=none"),
        ("fastest", torch.float32, "kernel.name=fastest: choose auto, reference"),
    ],
    ids=str,
)
def test_a_named_rung_refuses_what_it_cannot_do(kernel, dtype, says):
    """In one line that the command line shows as it is."""
    inputs, _ = draw(1, 2, 2, 1, 2, 1, dtype)
    with pytest.raises(KernelError, match=re.escape(says)) as caught:
        conv_lstm(*inputs, pad_before=0, kernel=kernel)
    assert isinstance(caught.value, PixelRNNError)
    assert "\n" not in str(caught.value)


def test_every_pad_and_tap():
    for taps, pad_before in itertools.product((1, 2, 4), range(4)):
        if pad_before >= taps:
            continue
        inputs, upstream = draw(1, 3, 2, 1, 2, taps)
        ours = values_and_gradients(autograd.conv_lstm, inputs, upstream, pad_before, None)
        theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, pad_before, None)
        assert worst(ours, theirs) < TOLERANCE[torch.float64]
