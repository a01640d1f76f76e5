"""From what the parts cost, and how often they come, to how long a run takes."""

from dataclasses import replace

import pytest

from pixelrnn.training import forecast
from pixelrnn.training.costs import Costs

COSTS = Costs(
    imports=5,
    begin=2,
    step=0.1,
    epoch_end=1,
    validation=0.01,
    evaluation=0.02,
    grid=4,
    end=3,
    memory=2**30,
    device_memory=None,
    parameters=1000,
    threads=1,
    drawn=False,
    batches=50,
    images={"train": 800, "val": 100, "test": 200},
    evaluation_batch=30,
    processes=1,
)
GRIDS = {"_target_": "pixelrnn.training.callbacks.SampleGrid", "n": 36, "every_n_epochs": 5}
STOPS = {"_target_": "pytorch_lightning.callbacks.EarlyStopping"}


def config(callbacks=(), **trainer):
    named = {str(number): node for number, node in enumerate(callbacks)}
    return {
        "trainer": {"max_epochs": 20, "max_steps": -1, **trainer},
        "callbacks": {**named, "none": None},
    }


def test_a_whole_run_is_the_sum_of_its_parts():
    plan = forecast.schedule(config([GRIDS]), COSTS)
    assert (plan.steps, plan.steps_per_epoch, plan.validations) == (1000, 50, 20)
    assert (plan.validation_images, plan.grids, plan.ends_early) == (100, 4, False)
    found = forecast.left(plan, COSTS, ["val", "test"])
    assert found.training == pytest.approx(100)
    assert found.validation == pytest.approx(20 * 100 * 0.01 + 20 * 1)
    assert found.samples == pytest.approx(5 * 4)  # four while training, one at the end
    assert found.evaluation == pytest.approx(300 * 0.02)
    assert found.around == 5
    assert found.seconds == pytest.approx(100 + 40 + 20 + 6 + 5)


@pytest.mark.parametrize(
    ("trainer", "steps", "validations"),
    [
        ({"max_steps": 130}, 130, 2.6),
        ({"max_epochs": -1, "max_steps": 100}, 100, 2),
        ({"max_epochs": -1}, None, 0),
        ({"max_epochs": None}, 50 * 1000, 1000),
        ({"max_epochs": None, "max_steps": 100}, 100, 2),
        ({"max_epochs": None, "max_time": "00:01:00:00"}, None, 0),
        ({"accumulate_grad_batches": 4}, 20 * 13, 20),
        ({"limit_train_batches": 10}, 200, 20),
        ({"limit_train_batches": 0.5}, 500, 20),
        ({"check_val_every_n_epoch": 4}, 1000, 5),
        ({"val_check_interval": 10}, 1000, 100),
        ({"val_check_interval": 0.5}, 1000, 40),
        ({"val_check_interval": 1.0}, 1000, 20),
    ],
)
def test_limits_count_as_the_trainer_takes_them(trainer, steps, validations):
    plan = forecast.schedule(config(**trainer), COSTS)
    assert plan.steps == steps
    assert plan.validations == pytest.approx(validations)


@pytest.mark.parametrize(("limit", "images"), [(None, 100), (2, 60), (0.5, 60), (9, 100), (0, 0)])
def test_a_limited_validation_counts_its_batches(limit, images):
    plan = forecast.schedule(config(limit_val_batches=limit), COSTS)
    assert plan.validation_images == images
    assert bool(plan.validations) == bool(images)


def test_larger_pictures_take_longer_and_none_are_drawn_without_validation():
    """In units of the 36 images that are measured; a smaller picture is no cheaper."""
    for n, grids in ((36, 4), (72, 8), (9, 4)):
        assert forecast.schedule(config([GRIDS | {"n": n}]), COSTS).grids == grids
    without = replace(COSTS, images={"train": 800, "test": 200})
    plan = forecast.schedule(config([GRIDS]), without)
    assert (plan.grids, plan.validations) == (0, 0)
    assert forecast.left(plan, without, ["test"]).samples == pytest.approx(4)  # at the end


def test_processes_share_the_images_that_are_evaluated():
    plan = forecast.schedule(config([GRIDS]), COSTS)
    alone, both = (
        forecast.left(plan, replace(COSTS, processes=n, epoch_end=0.0), ["val"]) for n in (1, 2)
    )
    assert both.evaluation == pytest.approx(alone.evaluation / 2)
    assert both.validation == pytest.approx(alone.validation / 2)
    assert both.training == alone.training  # of a step each process's share was measured


def test_what_is_done_is_subtracted():
    plan = forecast.schedule(config([STOPS, GRIDS]), COSTS)
    assert plan.ends_early
    whole, half = forecast.left(plan, COSTS, ["val"]), forecast.left(plan, COSTS, ["val"], 500)
    assert half.training == pytest.approx(whole.training / 2)
    assert half.validation == pytest.approx(whole.validation / 2)
    assert half.evaluation == whole.evaluation == pytest.approx(2)
    assert (whole.samples, half.samples) == pytest.approx((5 * 4, 3 * 4))
    trained = forecast.left(plan, COSTS, ["val"], 1000)
    assert trained.seconds == trained.evaluation
    assert forecast.left(plan, COSTS, [], 2000).seconds == 0


@pytest.mark.parametrize(
    ("seconds", "at_once", "whole"),
    [([3, 2, 1], 1, 6), ([3, 2, 1], 2, 3), ([1, 1, 3], 2, 4), ([5], 8, 5), ([], 2, 0)],
)
def test_jobs_are_begun_in_order_as_workers_become_free(seconds, at_once, whole):
    assert forecast.makespan(seconds, at_once) == whole
