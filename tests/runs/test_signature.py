"""What makes two runs the same."""

import pytest

from pixelrnn.runs.signature import differences, effective, signature

CONFIG = {
    "seed": 0,
    "threads": 1,
    "kernel": {"name": "auto"},
    "model": {"_target_": "pixelrnn.models.RowLSTM", "layers": 2, "kernel": {"name": "auto"}},
    "data": {"batch_size": 16, "num_workers": 0, "root": "data"},
    "trainer": {"max_epochs": 3, "devices": 1, "enable_model_summary": False},
    "paths": {"runs": "runs"},
}


def changed(path, value):
    head, _, tail = path.partition(".")
    return {**CONFIG, head: {**CONFIG[head], tail: value} if tail else value}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("threads", 2),
        ("data.num_workers", 4),
        ("data.root", "elsewhere"),
        ("trainer.devices", 2),
        ("trainer.enable_model_summary", True),
        ("model.kernel", {"name": "reference"}),
        ("paths.runs", "elsewhere"),
        ("trainer.profiler", "simple"),
        ("evaluate", ["test"]),
        ("scale_name", "small"),
        ("sweep_name", "mine"),
        ("folder", "elsewhere"),
    ],
)
def test_what_cannot_change_the_result_leaves_it_alone(path, value):
    assert signature(changed(path, value)) == signature(CONFIG)


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 1), ("model.layers", 3), ("data.batch_size", 32), ("trainer.max_epochs", 4)],
)
def test_what_can_changes_it(path, value):
    assert signature(changed(path, value)) != signature(CONFIG)


def test_a_model_without_classes_is_that_of_earlier_versions():
    assert signature(changed("model.classes", None)) == signature(CONFIG)
    assert signature(changed("model.small", {"classes": None})) == signature(
        changed("model.small", {})
    )
    assert signature(changed("model.classes", 10)) != signature(CONFIG)


def test_order_of_keys_does_not_matter():
    assert signature(dict(reversed(CONFIG.items()))) == signature(CONFIG)
    assert set(effective(CONFIG)) == {"seed", "model", "data", "trainer"}


def test_the_keys_that_differ_are_named():
    assert differences(CONFIG, changed("threads", 7)) == []
    other = changed("model.layers", 3) | {"seed": 1, "new": {"key": 1}}
    assert differences(CONFIG, other) == ["model.layers", "new.key", "seed"]
