"""What the recorder asks of CUDA, with stand-ins for streams and graphs; no GPU is used."""

import itertools
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from pixelrnn.ops.conv_lstm import recorder

GPU = torch.device("cuda", 1)


class Stream:
    def __init__(self, device=GPU):
        self.device, self.waited = device, []

    def wait_stream(self, other):
        self.waited.append(other)


class Card:
    """Stands in for `torch.cuda`."""

    def __init__(self):
        self.stream, self.entered, self.recordings = Stream(), [], []
        self.capturing = False

    @contextmanager
    def device(self, device):
        self.entered.append(device)
        yield

    @contextmanager
    def in_stream(self, stream):
        before, self.stream = self.stream, stream
        yield
        self.stream = before

    @contextmanager
    def graph(self, graph, **settings):
        self.recordings.append(settings)
        yield


@pytest.fixture
def card(monkeypatch):
    card = Card()
    graph = SimpleNamespace(replay=lambda: "played")
    for name, stand_in in {
        "current_stream": lambda *_: card.stream,
        "Stream": Stream,
        "stream": card.in_stream,
        "device": card.device,
        "graph": card.graph,
        "CUDAGraph": lambda: graph,
        "graph_pool_handle": object,
        "is_current_stream_capturing": lambda: card.capturing,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return card


def test_it_records_in_a_stream_of_the_tensors_device_and_one_pool(card):
    """Torch's own choice is a stream of the device that recorded first."""
    runs = []
    ours = recorder.CudaRecorder()
    for _ in range(2):
        with ours.turn(GPU):
            outputs, replay = ours.record(lambda: runs.append(card.stream) or ("y",))
    assert outputs == ("y",)
    assert replay() == "played"
    assert card.entered == [GPU, GPU]
    first, second = card.recordings
    assert first["stream"].device == GPU
    assert first["capture_error_mode"] == "thread_local"
    assert first["pool"] is second["pool"]
    assert len(runs) == 2 * 4  # three runs before each recording


def test_a_graph_waits_for_the_one_before_it_on_another_stream(card):
    ours, first, second = recorder.CudaRecorder(), card.stream, Stream()
    with ours.turn(GPU), ours.turn(GPU):
        pass
    assert first.waited == []
    card.stream = second
    with ours.turn(GPU):
        pass
    assert second.waited == [first]


def test_one_thread_at_a_time(card):
    ours, inside, together = recorder.CudaRecorder(), [], []
    start = threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(50):
            with ours.turn(GPU):
                inside.append(1)
                together.append(len(inside))
                inside.pop()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(together) == {1}


def test_it_says_when_a_whole_step_is_recorded(card):
    assert not recorder.CudaRecorder().occupied()
    card.capturing = True
    assert recorder.CudaRecorder().occupied()


@pytest.mark.parametrize(("compiles", "runs"), [(0, 3), (2, 3), (5, 6)])
def test_it_warms_up_until_nothing_is_compiled(monkeypatch, compiles, runs):
    ran = []
    counters = Counter()
    monkeypatch.setattr(recorder, "compilations", lambda: counters["graphs"])

    def function():
        ran.append(1)
        counters["graphs"] += len(ran) <= compiles

    recorder.warm_up(function)
    assert len(ran) == runs


def test_what_compiles_in_every_run_is_not_recorded(monkeypatch):
    counters = Counter()
    monkeypatch.setattr(recorder, "compilations", lambda: counters["graphs"])
    with pytest.raises(RuntimeError, match="each compiles something anew"):
        recorder.warm_up(lambda: counters.update(graphs=1))


def test_compilations_are_counted(monkeypatch):
    dynamo = SimpleNamespace(counters={"stats": {"unique_graphs": 3}, "frames": {"ok": 2}})
    monkeypatch.setitem(sys.modules, "torch._dynamo.utils", dynamo)
    assert recorder.compilations() == 5
    monkeypatch.delitem(sys.modules, "torch._dynamo.utils")
    assert recorder.compilations() == 0


@pytest.mark.slow  # it compiles
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_the_count_rises_when_torch_compiles():
    compiled = torch.compile(lambda x: x.sin() * 2, backend="eager")
    counts = [recorder.compilations()]
    for size in (2, 2, 3, 3, 4):  # anew for 3, whatever the size from then on
        compiled(torch.ones(size))
        counts.append(recorder.compilations())
    rises = [after > before for before, after in itertools.pairwise(counts)]
    assert rises == [True, False, True, False, False]
