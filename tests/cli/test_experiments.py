"""Every experiment and sweep of the paper's tables: composes, has the paper's size, trains."""

import hydra
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from PIL import Image

from pixelrnn.cli import compose, train
from pixelrnn.cli.main import main
from pixelrnn.cli.multirun import jobs
from pixelrnn.ops import masks
from pixelrnn.results import collect, hydra_groups, rows, tables
from pixelrnn.runs import nodes
from pixelrnn.training import parts, preparation
from tests.cli.commands import needed
from tests.cli.test_compose import CONF, composed

CATALOGUE = rows.load()
SCALES = {
    row: {
        scale
        for table in CATALOGUE.tables.values()
        for scale in CATALOGUE.scales(table)
        if row in map(rows.identity, table.rows)
    }
    for row in CATALOGUE.settings
}
ENDS = {
    rows.identity(row)
    for table in CATALOGUE.tables.values()
    for row in (*table.rows[:1], table.rows[-1])
}
"""The first and the last row of each table: the fast tests take these."""


def slow_unless(fast, *values):
    return pytest.param(*values, marks=[] if fast else pytest.mark.slow)


EXPERIMENTS = [
    slow_unless(row in ENDS, row, scale)
    for row, scales in SCALES.items()
    for scale in sorted(scales)
]
PARAMETERS = {
    "cifar10_diagonal_bilstm": 8_844_032,
    "cifar10_row_lstm": 9_621_248,
    "cifar10_pixelcnn": 5_340_416,
    "mnist_diagonal_bilstm": 66_241,
    "mnist_diagonal_bilstm_1": 41_633,
    "imagenet32_row_lstm": 70_014_720,
    "imagenet64_row_lstm": 42_900_224,
    "cifar10_pixelsnail": 46_006_684,
}
"""Stem, blocks and head of table 1 with direct skips, which cost nothing; masked weights count.

The PixelSNAIL: stem, and 12 times 4 gated blocks of 2 x 2, keys, values, queries, the last block.
"""
SMALL_SIZES = ("hidden=3", "layers=1", "head_width=4")


def resolved(*overrides):
    config = composed("train", *overrides, "logger=csv", "threads=1")
    return preparation.prepare(compose.plain(config)).config


@pytest.fixture
def without_weights(monkeypatch):
    """Models of full size in no memory; only their masks are real."""

    def real(*args, causal_mask=masks.causal_mask):
        with torch.device("cpu"):
            return causal_mask(*args)

    monkeypatch.setattr(masks, "causal_mask", real)
    return lambda: torch.device("meta")


@pytest.mark.parametrize("name", PARAMETERS)
def test_full_size_has_the_papers_parameter_count(name, without_weights):
    config = resolved(f"experiment={name}", "model.skip=false")
    with without_weights():
        model = nodes.build(config["model"])
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """A root of data that holds photographs, tiny ones."""
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "val", "test"):
        folder = root / "photographs" / split
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "black.png")
    return root


@pytest.mark.parametrize(("name", "scale"), EXPERIMENTS)
def test_a_run_of_an_experiment_fills_its_rows(name, scale, data_root):
    """And no others."""
    words = [f"experiment={name}"] + ([f"scale={scale}"] if scale != "paper" else [])
    config = resolved(*words, f"paths.data={data_root}")
    command = f"pixelrnn train {' '.join(words)}"
    for name_of_table, table in CATALOGUE.tables.items():
        if scale in CATALOGUE.scales(table):
            found = collect.Run(CONF, "finished", config, {"steps": 1, "seed": 0, "metrics": {}})
            filled = tables.fill(CATALOGUE, name_of_table, scale, [found]).lines
            listed = {line.command for line in filled}
            assert {line.command for line in filled if line.runs} == listed & {command}


@pytest.mark.parametrize("name", [slow_unless(row in ENDS, row) for row in SCALES])
def test_every_experiment_takes_a_step_on_stand_in_data(name):
    networks = ["model.small", "model.large"] if "multi_scale" in name else ["model"]
    sizes = [f"{network}.{size}" for network in networks for size in SMALL_SIZES]
    words = ["data.batch_size=2", *sizes]
    settings = CATALOGUE.settings[name]
    if "small" in SCALES[name]:
        words.append("scale=small")
        settings = CATALOGUE.benchmarks[settings["benchmark"]].others["small"] | settings
    words += ["data.size=8"] if settings["data"] == "patches" else []
    config = resolved(f"experiment={name}", *words)
    module, data = parts.module(config), nodes.build(config["data"])
    data.setup()
    images = torch.from_numpy(data.images("val")[:2].copy())
    labels = torch.from_numpy(data.labels("val")[:2].copy()) if module.model.classes else None
    optimizer = module.optimizer(module.model.parameters())
    losses = []
    for _ in range(2):
        loss = -module.model.log_prob(images, labels).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


@pytest.mark.parametrize("table", CATALOGUE.tables)
def test_a_sweep_is_the_rows_of_its_table(table):
    spec = CATALOGUE.tables[table]
    hydra_groups.register()
    for scale in CATALOGUE.scales(spec):
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            words = [f"sweep={table}", f"scale={scale}"]
            config = hydra.compose("train", words, return_hydra_config=True)
        assert config.sweep_name == table
        (swept,) = config.hydra.sweeper.params.items()
        assert swept == ("experiment", ", ".join(map(rows.identity, spec.rows)))


@pytest.mark.parametrize(
    ("table", "part", "count"),
    [("equal_parameters", "", 3), ("multi_scale", "mnist", 2), ("multi_scale", "cifar10", 2)],
)
def test_equal_parameters_are_equal(table, part, count):
    """Within 2 %."""
    sizes = []
    for row in map(rows.identity, CATALOGUE.tables[table].rows):
        if row.startswith(part):
            config = resolved(f"experiment={row}", "scale=small")
            model = nodes.build(config["model"])
            sizes.append(sum(p.numel() for p in model.parameters()))
    assert len(sizes) == count
    assert max(sizes) < 1.02 * min(sizes)


@pytest.mark.long
def test_the_command_line_expands_a_sweep_and_a_grid(capsys):
    seen = []

    def job(config):
        (word,) = [w for w in HydraConfig.get().overrides.task if w.startswith("experiment=")]
        seen.append((word, config.seed, config.model.residual, config.scale_name))

    assert jobs.run(["sweep=table2", "scale=small", "seed=0,1"], job, train.check) == 0
    assert len(seen) == len(set(seen)) == 4 * 2
    assert {residual for _, _, residual, _ in seen} == {True, False}
    assert {scale for *_, scale in seen} == {"small"}


def test_a_scale_alone_scales_nothing(capfd):
    assert main(["train", "scale=small"]) == 2
    assert "scale=small: of which benchmark?" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words", [["experiment=patches"], ["-m", "experiment=patches,mnist_pixelcnn"]]
)
def test_scale_small_of_an_experiment_without_a_benchmark_is_one_line(words, capfd):
    assert main(["train", *words, "scale=small"]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "names no benchmark" in line


@pytest.mark.parametrize(
    ("launcher", "package", "devices", "threads"),
    [
        ("basic", None, 1, None),
        ("local_joblib", "joblib", 1, 2),
        ("local_joblib", "joblib", 2, 1),
        ("local_submitit", "submitit", 1, 1),
        ("slurm", "submitit", 1, 2),
        ("slurm", "submitit", 2, 1),
        ("slurm_ddp", "submitit", 8, 2),
        ("local_ray", "ray", 1, 1),
        ("ray_cluster", "ray", 1, 2),
    ],
)
def test_each_process_gets_its_share_of_threads(launcher, package, devices, threads, monkeypatch):
    if package:
        needed(package)
    monkeypatch.setattr("pixelrnn.cores.available", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        words = [f"hydra/launcher={launcher}", "hydra.job.num=0", f"trainer.devices={devices}"]
        config = hydra.compose("train", words, return_hydra_config=True)
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: config.hydra)
    compose.register_resolvers()
    assert config.threads == threads
    if launcher == "slurm_ddp":
        assert config.hydra.launcher.gpus_per_node == config.hydra.launcher.tasks_per_node == 8


def test_a_scale_that_the_benchmark_lacks_is_one_line(capfd):
    assert main(["train", "experiment=cifar10_row_lstm", "scale=fashion"]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "benchmark=cifar10 has only scale=paper, scale=small" in line
