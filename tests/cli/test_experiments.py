"""Every experiment and sweep of the paper's tables: composes, has the paper's size, trains."""

import itertools

import hydra
import pytest
import torch
from hydra.core.hydra_config import HydraConfig

from pixelrnn.cli import compose
from pixelrnn.cli.main import main
from pixelrnn.cli.multirun import jobs
from pixelrnn.ops import masks
from pixelrnn.results import collect, tables
from pixelrnn.runs import nodes
from pixelrnn.training import parts, run
from tests.cli.commands import needed
from tests.cli.test_compose import CONF, choices, composed

PAPERS = [name for name in choices("experiment") if name.startswith(tuple(choices("sizes")))]
OURS = [name for name in choices("experiment") if name.startswith("equal_")]
EXPERIMENTS = [(name, scale) for name in PAPERS for scale in ("paper", "small")]
EXPERIMENTS += [(name, "small") for name in OURS]
TABLES = choices("sweep")
DEFAULT_MASKS = "model.color_conditioning=true model.first_kernel_size=7"
PARAMETERS = {
    "cifar10_diagonal_bilstm": 8_844_032,
    "cifar10_row_lstm": 9_621_248,
    "cifar10_pixelcnn": 5_340_416,
    "mnist_diagonal_bilstm": 66_241,
    "mnist_diagonal_bilstm_1": 41_633,
    "imagenet32_row_lstm": 70_014_720,
    "imagenet64_row_lstm": 42_900_224,
}
"""Stem, blocks and head of table 1 with direct skips, which cost nothing; masked weights count."""


def resolved(*overrides):
    config = composed("train", *overrides, "logger=csv", "threads=1")
    return run.prepare(compose.plain(config)).config


@pytest.fixture
def without_weights(monkeypatch):
    """Models of full size in no memory; only their masks are real."""

    def real(*args, causal_mask=masks.causal_mask):
        with torch.device("cpu"):
            return causal_mask(*args)

    monkeypatch.setattr(masks, "causal_mask", real)
    return lambda: torch.device("meta")


def test_there_is_an_experiment_for_every_row():
    commands = {
        row["overrides"].split()[0]
        for name in tables.names()
        for row in tables.describe(name)["rows"]
    }
    assert commands == {f"experiment={name}" for name in PAPERS + OURS}


@pytest.mark.parametrize("name", PARAMETERS)
def test_full_size_has_the_papers_parameter_count(name, without_weights):
    config = resolved(f"experiment={name}", "model.skip=false")
    with without_weights():
        model = nodes.build(config["model"])
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(("name", "scale"), EXPERIMENTS)
def test_a_run_of_an_experiment_fills_its_rows(name, scale):
    """And no others."""
    words = [f"experiment={name}"] + (["scale=small"] if scale == "small" else [])
    config = resolved(*words)
    for table in tables.names():
        if scale not in tables.describe(table)["scales"]:
            continue
        record = {"steps": 1, "seed": 0, "metrics": {}}
        found = collect.Run(CONF, "finished", config, record)
        filled = {line.command for line in tables.fill(table, scale, [found]).lines if line.runs}
        mine = {f"pixelrnn train {' '.join(words)}"}
        if name == "cifar10_row_lstm_layers3":  # a grid that holds its defaults
            mine.add(" ".join(["pixelrnn train", words[0], DEFAULT_MASKS, *words[1:]]))
        listed = {line.command for line in tables.fill(table, scale, []).lines}
        assert filled == listed & mine


@pytest.mark.parametrize("name", PAPERS + OURS)
def test_every_experiment_takes_a_step_on_stand_in_data(name):
    words = ["data.batch_size=2", "model.hidden=3", "model.layers=1", "model.head_width=4"]
    if not name.startswith("mnist"):
        words.append("data.size=8")
    config = resolved(f"experiment={name}", "scale=small", *words)
    module, data = parts.module(config), nodes.build(config["data"])
    data.setup()
    images = torch.from_numpy(data.images("val")[:2].copy())
    optimizer = module.optimizer(module.model.parameters())
    losses = []
    for _ in range(2):
        loss = -module.model.log_prob(images).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def grid(text):
    return text.replace(" ", "").split(",")


@pytest.mark.parametrize("table", TABLES)
def test_a_sweep_is_the_rows_of_its_table(table):
    spec = tables.describe(table)
    for scale in spec["scales"]:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            words = [f"sweep={table}", f"scale={scale}"]
            config = hydra.compose("train", words, return_hydra_config=True)
        assert config.sweep_name == table
        params = config.hydra.sweeper.params
        jobs_ = itertools.product(*([f"{k}={v}" for v in grid(params[k])] for k in params))
        assert sorted(map(" ".join, jobs_)) == sorted(row["overrides"] for row in spec["rows"])


def test_equal_parameters_are_equal():
    """Within 2 %."""
    rows = tables.describe("equal_parameters")["rows"]
    sizes = []
    for row in rows:
        config = resolved(row["overrides"], "scale=small")
        model = nodes.build(config["model"])
        sizes.append(sum(p.numel() for p in model.parameters()))
    assert len(sizes) == 3
    assert max(sizes) < 1.02 * min(sizes)


def test_the_command_line_expands_a_sweep_and_a_grid(capsys):
    seen = []

    def job(config):
        (word,) = [w for w in HydraConfig.get().overrides.task if w.startswith("experiment=")]
        seen.append((word, config.seed, config.model.residual, config.scale_name))

    assert jobs.run(["-m", "sweep=table2", "scale=small", "seed=0,1"], job) == 0
    assert len(seen) == len(set(seen)) == 4 * 2
    assert {residual for _, _, residual, _ in seen} == {True, False}
    assert {scale for *_, scale in seen} == {"small"}


def test_scale_small_alone_scales_nothing(capfd):
    assert main(["train", "scale=small"]) == 2
    assert "scale=small: of which benchmark?" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("launcher", "package", "threads"),
    [
        ("basic", None, None),
        ("local_joblib", "joblib", 2),
        ("local_submitit", "submitit", 1),
        ("slurm", "submitit", 2),
        ("local_ray", "ray", 1),
        ("ray_cluster", "ray", 2),
    ],
)
def test_each_job_gets_its_share_of_threads(launcher, package, threads, monkeypatch):
    if package:
        needed(package)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(4), raising=False)
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        words = [f"hydra/launcher={launcher}", "hydra.job.num=0"]
        config = hydra.compose("train", words, return_hydra_config=True)
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: config.hydra)
    compose.register_resolvers()
    assert config.threads == threads
