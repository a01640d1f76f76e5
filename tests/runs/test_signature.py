"""What makes two runs the same."""

import pytest

from pixelrnn.runs.signature import differences, effective, signature

KERNEL = "pixelrnn.ops.conv_lstm.dispatch.Kernel"
CONFIG = {
    "seed": 0,
    "threads": 1,
    "kernel": {"name": "auto"},
    "model": {"_target_": "pixelrnn.models.RowLSTM", "layers": 2, "kernel": {"name": "auto"}},
    "data": {"batch_size": 16, "num_workers": 0, "root": "data"},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
    "scheduler": {"warmup_steps": 2},
    "likelihood": {"components": 10},
    "callbacks": {"averaging": {"decay": 0.99}, "checkpoints": {"every_minutes": 5}},
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
        ("callbacks.checkpoints", {"every_minutes": 1}),
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
    [
        ("seed", 1),
        ("model.layers", 3),
        ("data.batch_size", 32),
        ("data.binarize", "dynamic"),
        ("data.subsample", 2),
        ("data_content", "0123456789abcdef"),
        ("init_weights", "0123456789abcdef"),
        ("optimizer.lr", 0.1),
        ("scheduler.warmup_steps", 3),
        ("likelihood.components", 5),
        ("callbacks.averaging", {"decay": 0.9}),
        ("callbacks.early_stopping", {"patience": 3}),
        ("trainer.max_epochs", 4),
        ("trainer.precision", "bf16-mixed"),
        ("trainer.gradient_clip_val", 1.0),
        ("trainer.accumulate_grad_batches", 2),
        ("trainer.limit_train_batches", 0.5),
    ],
    ids=str,
)
def test_what_can_changes_it(path, value):
    assert signature(changed(path, value)) != signature(CONFIG)


def test_a_model_without_classes_is_that_of_earlier_versions():
    assert signature(changed("model.classes", None)) == signature(CONFIG)
    assert signature(changed("model.small", {"classes": None})) == signature(
        changed("model.small", {})
    )
    assert signature(changed("model.classes", 10)) != signature(CONFIG)


@pytest.mark.parametrize("prefix", ["model", "model.inner"])
@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("kernel", 3, 5),
        ("kernel", None, 5),
        ("dropout", 0.0, ...),
        ("weight_dropout", 0.0, ...),
        ("classes", None, ...),
        ("embed", None, ...),
        ("first_gate", "squashed", ...),
    ],
)
def test_a_key_of_a_users_own_model_counts(prefix, key, one, other):
    """Its name may be one of ours; `...` stands for a key that is left out."""

    def model(value):
        own = {"_target_": "mine.Net"} | ({} if value is ... else {key: value})
        ours = {"_target_": "pixelrnn.models.MultiScale", "inner": own}
        return {"model": own if prefix == "model" else ours}

    assert differences(model(one), model(other)) == [f"{prefix}.{key}"]
    assert signature(model(one)) != signature(model(other))


def test_a_key_of_ours_is_known_by_its_whole_name():
    assert differences(changed("model.weight_dropout", 0.0), CONFIG) == ["model.weight_dropout"]


@pytest.mark.parametrize("kernel", [None, "reference", {"_target_": KERNEL, "name": "reference"}])
def test_the_choice_of_a_kernel_has_no_effect_in_any_network_of_a_model(kernel):
    inner = {"_target_": "pixelrnn.models.RowLSTM", "layers": 2}
    assert signature(changed("model.small", inner | {"kernel": kernel})) == signature(
        changed("model.small", inner)
    )
    if isinstance(kernel, dict):
        own = {"_target_": "mine.Net", "layers": 2}
        assert signature({"model": own | {"kernel": kernel}}) == signature({"model": own})


def test_order_of_keys_does_not_matter():
    assert signature(dict(reversed(CONFIG.items()))) == signature(CONFIG)
    left_out = {"threads", "kernel", "paths"}
    assert set(effective(CONFIG)) == CONFIG.keys() - left_out


def test_the_keys_that_differ_are_named():
    assert differences(CONFIG, changed("threads", 7)) == []
    other = changed("model.layers", 3) | {"seed": 1, "new": {"key": 1}}
    assert differences(CONFIG, other) == ["model.layers", "new.key", "seed"]
