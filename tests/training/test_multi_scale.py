"""Multi-scale models: trained in one run, or stage by stage; each part gets images of its shape."""

import pytest
import torch

from pixelrnn.cli import compose
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.models import MultiScale
from pixelrnn.training import load, preparation, run
from tests.training.test_run import config, only_run

pytestmark = pytest.mark.filterwarnings("ignore")


def network(name="PixelCNN", **settings):
    likelihood = {"_target_": "pixelrnn.likelihood.Categorical", "levels": None}
    sizes = {"image_shape": None, "levels": None, "hidden": 4, "layers": 1, "head_width": 4}
    target = {"_target_": f"pixelrnn.models.{name}", "likelihood": likelihood}
    return {**target, **sizes, **settings}


def scales(small=None, large=None, **settings):
    return {
        "_target_": "pixelrnn.models.MultiScale",
        "small": small or network(),
        "large": large or network("RowLSTM", map_features=3),
        "factor": 2,
        "upsampling_width": 4,
        **settings,
    }


def test_one_command_trains_both():
    results = run.train(config(model=scales()))
    model = results["config"]["model"]
    assert model["small"]["image_shape"] == [1, 4, 4]
    assert model["large"]["image_shape"] == [1, 8, 8]
    assert model["small"]["levels"] == model["large"]["likelihood"]["levels"] == 17
    loaded = load.load_model(only_run())
    assert isinstance(loaded, MultiScale)
    images = loaded.sample(2)
    assert loaded.log_prob(images).isfinite().all()
    assert (only_run() / "samples" / "final.png").is_file()


@pytest.mark.parametrize(
    ("factor", "small"), [([4, 2], [1, 2, 4]), (3, [1, 3, 3]), ([1, 8], [1, 8, 1])], ids=str
)
def test_the_factor_gives_the_small_model_its_shape(factor, small):
    plan = preparation.prepare(config(model=scales(factor=factor)))
    assert plan.config["model"]["small"]["image_shape"] == small


def test_three_scales_by_nesting():
    plan = preparation.prepare(config(model=scales(small=scales())))
    model = plan.config["model"]
    assert model["small"]["small"]["image_shape"] == [1, 2, 2]
    assert model["small"]["large"]["image_shape"] == [1, 4, 4]
    assert model["large"]["image_shape"] == [1, 8, 8]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (scales(small=network(image_shape=[1, 8, 8])), r"model.small.image_shape=\[1, 8, 8\] but"),
        (scales(large=network(levels=5, map_features=3)), "model.large.levels=5 but the data have"),
        (scales(factor=0), "model.factor=0"),
        (scales(factor=1), "model: factor=1: the small image .* would be the large one"),
        (scales(large=network()), "model: large.map_features must be a number"),
        (scales(resize="cubic"), "model.resize=cubic"),
        (scales(small=network(hiden=4)), "model.small.hiden: no such key"),
        (network(map_features=3), "model: the model has map_features=3: it needs a map"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_before_anything_is_written(model, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        run.train(config(model=model))
    assert list(tmp_path.iterdir()) == []


def test_stage_by_stage():
    first = run.train(config(model=network(), data__subsample=2, folder="small"))
    assert first["config"]["model"]["image_shape"] == [1, 4, 4]
    assert first["dataset_id"] == "digits_subsampled_2x2"
    stage = {"_target_": "pixelrnn.training.trained.trained", "run": "small"}
    second = run.train(config(model=scales(small=stage), folder="whole"))
    small, whole = load.load_model("small"), load.load_model("whole")
    assert all(map(torch.equal, small.state_dict().values(), whole.small.state_dict().values()))
    # nats add up: those of the small images, and those of the other pixels given them
    of_small, of_whole = first["metrics"]["test/nll"], second["metrics"]["test/nll"]
    images = preparation.prepare(config()).data
    images.setup()
    test = torch.from_numpy(images.images("test"))
    others = whole.log_prob(test) - small.log_prob(test[:, :, ::2, ::2].contiguous())
    assert of_whole - of_small == pytest.approx(-others.mean().item(), rel=1e-5)
    trained_on = run.train(config(model=scales(small=stage | {"frozen": False}), folder="on"))
    assert trained_on["parameters"] == second["parameters"]
    moved = load.load_model("on").small.state_dict()
    assert not all(map(torch.equal, small.state_dict().values(), moved.values()))


def test_a_stage_that_does_not_fit_is_one_line():
    stage = {"_target_": "pixelrnn.training.trained.trained", "run": "nowhere"}
    with pytest.raises(RunError, match="nowhere"):
        run.train(config(model=scales(small=stage)))
    run.train(config(model=network(), data__subsample=4, folder="nowhere"))
    with pytest.raises(ConfigError, match=r"model: small.image_shape=\(1, 2, 2\) must be"):
        run.train(config(model=scales(small=stage)))


@pytest.mark.parametrize(
    "words",
    [
        ["model/small=pixelcnn", "model/large=gated_pixelcnn", "model.small.layers=3"],
        ["model/small=multi_scale", "model/large=pixelsnail"],
        ["model/small=trained", "model.small.run=runs/x"],
    ],
    ids=" ".join,
)
def test_commands_choose_the_parts(words):
    plan = preparation.prepare(compose.composed(["model=multi_scale", "logger=csv", *words]))
    assert plan.config["model"]["large"]["map_features"] == 32
    assert plan.config["label"] == "digits-multi_scale"


def test_how_a_part_computes_is_no_part_of_the_signature():
    given = ["model=multi_scale", "logger=csv"]
    one = preparation.prepare(compose.composed(given))
    other = preparation.prepare(compose.composed([*given, "model.large.checkpoint_layers=true"]))
    assert one.folder == other.folder
