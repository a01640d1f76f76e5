"""What a user sees of an exact pass over a split."""

import sys

import torch

from pixelrnn.training.evaluation_progress import EvaluationProgress


class Trainer:
    is_global_zero = True
    world_size = 1
    test_dataloaders = None


def test_lines_where_there_is_no_terminal(capsys):
    progress = EvaluationProgress("test", images=9, every_s=0)
    progress.on_test_start(Trainer, None)
    for size in (4, 4, 1):
        progress.on_test_batch_end(Trainer, None, None, torch.zeros(size, 1), 0)
    progress.on_test_end(Trainer, None)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" images")[0] for line in lines] == [
        "evaluating test: 4/9",
        "evaluating test: 8/9",
        "evaluating test: 9/9",
    ]


def test_a_short_pass_is_silent_there(capsys):
    progress = EvaluationProgress("test", images=9)
    progress.on_test_start(Trainer, None)
    progress.on_test_batch_end(Trainer, None, None, torch.zeros(9, 1), 0)
    progress.on_test_end(Trainer, None)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = EvaluationProgress("val", images=8)
    progress.on_test_start(Trainer, None)
    progress.on_test_batch_end(Trainer, None, None, torch.zeros(4, 1), 0)
    assert "evaluating val" in capsys.readouterr().err
    progress.on_exception(Trainer, None, KeyboardInterrupt())
    assert progress._bar is None
