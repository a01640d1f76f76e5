"""Whatever words a verb is given: no traceback, and an exit code that says what happened."""

import contextlib
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixelrnn.cli import main as entry
from pixelrnn.errors import ConfigError
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")

FEW = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,  # the same words in every run
    database=None,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=600, derandomize=False)

VALUES = st.one_of(
    st.sampled_from(
        [
            *("", "null", "true", "-1", "0", "2", "1.5", "nan", "inf", "-inf", "1e999", "9" * 400),
            *("[", "]", "{", "[1,2]", "{a: 1}", "{a:1}", "[[]]", "1,2", "range(3)", "choice(1,2)"),
            *("'", '"', "'a", "a=b", "a,b", "a b", " ", "\\", "\n", "\t", "#", "$", "${", "${x}"),
            *(
                "${model}",
                "${oc.env:NOT_THERE}",
                "${oc.env:HOME}",
                "???",
                "~",
                "@",
                "%s",
                "*",
                "&a",
            ),
            *("../..", "/", "/dev/null", "größe", "💥", "\u202e", "!!python/object:os.system"),
            *(
                "os.system",
                "pixelrnn.models.PixelCNN",
                "row_lstm",
                "digits",
                "run",
                "test",
                "x" * 300,
            ),
        ]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    st.integers().map(str),
    st.floats().map(str),
)
TRAIN_KEYS = [
    *("model", "data", "model.hidden", "model.layers", "model.likelihood", "model.image_shape"),
    *(
        "model.classes",
        "model._target_",
        "data.batch_size",
        "data.path",
        "optimizer",
        "optimizer.lr",
    ),
    *("scheduler", "trainer.max_epochs", "trainer.precision", "trainer.devices", "trainer"),
    *("callbacks", "callbacks.ema", "callbacks.mine", "callbacks.checkpoints.folder", "logger"),
    *(
        "logger.wandb.tags",
        "seed",
        "threads",
        "evaluate",
        "label",
        "folder",
        "paths.runs",
        "resume",
    ),
    *("init_from", "sweep", "experiment", "scale", "debug", "kernel.name", "on_out_of_memory"),
    *("likelihood", "sweep_name", "hydra.run.dir", "hydra.searchpath", "modle", "a.b.c", "", "run"),
]
KEYS = {
    "evaluate": ["split", "batch_size", "accelerator", "threads", "run", "what"],
    "sample": ["n", "batch_size", "temperature", "seed", "grow", "out", "classes", "run"],
    "complete": ["occlude", "split", "n", "draws", "temperature", "seed", "out"],
    "compress": ["in", "out", "labels", "mode", "batch_size", "verify"],
    "decompress": ["in", "out", "machine"],
    "audit": ["split", "n", "batch_size", "out", "codecs"],
    "runs": ["by", "data", "model", "sweep", "format", "n", "paths.runs"],
    "table": ["scale", "plots", "paths.runs", "split"],
    "data": ["data.path", "data.binarize", "data.seed", "paths.data"],
    "figure": ["n", "out", "split", "seed", "format"],
    "dashboard": ["sweep", "entity", "project"],
    "sync": ["run", "runs", "paths.runs"],
}
SIGNS = st.sampled_from(["", "", "", "", "+", "++", "~", "-", "--"])


def words(keys):
    """Mostly KEY=VALUE, with keys that there are, near ones, and others."""
    key = st.one_of(st.sampled_from(keys), st.sampled_from(keys), VALUES)
    return st.one_of(
        st.builds(lambda sign, key, value: f"{sign}{key}={value}", SIGNS, key, VALUES),
        st.builds(lambda key, value: f"{key}={value}", st.sampled_from(keys), VALUES),
        VALUES,
    ).filter(lambda word: not word.startswith(("-m", "--multirun", "hydra.mode")))


def check(argv):
    """Run a command in a folder of its own, and look at how it ends."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = entry.main(argv)
    said = err.getvalue()
    assert code in (0, 2), (argv, code, said)
    assert "Traceback" not in said, (argv, said)
    if code == 2:
        assert "pixelrnn: " in said, (argv, said)
        first = said.index("pixelrnn: ")
        assert len(said[first:]) > len("pixelrnn: \n"), argv


def stop(plan):
    raise ConfigError("would train")


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr("pixelrnn.training.run.carry_out", stop)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run, so that words are refused by what a verb does and not by a missing folder."""
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    assert entry.main([*TINY, f"folder={folder}"]) == 0
    return folder


def tried(strategy, test, how):
    given(strategy)(how(test))()


def fuzz_train(how):
    tried(st.lists(words(TRAIN_KEYS), min_size=1, max_size=3), lambda w: check(["train", *w]), how)


def fuzz_others(how, run):
    def test(drawn):
        verb, given_words = drawn
        if verb in ("compress", "decompress"):
            given_words = [*given_words, "in=none.prnn", "out=made"]
        check(
            [
                verb,
                *([] if verb in ("runs", "table", "data", "dashboard", "sync") else [f"run={run}"]),
                *given_words,
            ]
        )

    verbs = st.sampled_from(sorted(KEYS))
    drawn = verbs.flatmap(
        lambda verb: st.tuples(st.just(verb), st.lists(words(KEYS[verb]), min_size=1, max_size=3))
    )
    tried(drawn, test, how)


def test_train(no_training):
    fuzz_train(FEW)


def test_the_other_verbs(run):
    fuzz_others(FEW, run)


@pytest.mark.slow
def test_train_long(no_training):
    fuzz_train(MANY)


@pytest.mark.slow
def test_the_other_verbs_long(run):
    fuzz_others(settings(MANY, max_examples=250), run)


def test_words_before_a_verb():
    tried(st.lists(VALUES.filter(bool), min_size=1, max_size=2), check, FEW)
