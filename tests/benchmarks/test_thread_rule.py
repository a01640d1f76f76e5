from benchmarks import thread_rule
from pixelrnn import threads
from pixelrnn.models import PixelCNN


def test_a_row_says_what_the_rule_takes(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    row = thread_rule.measure(PixelCNN, 2, 1, ((1, 4, 3), 2), 5, repeats=2)
    weights = sum(p.numel() for p in PixelCNN((1, 4, 3), 2, hidden=2, layers=1).parameters())
    assert row["weights x images x pixels, millions"] == weights * 5 * 12 / 1e6
    assert row["the rule takes"] == 1
