"""Whatever is swept: no traceback of a framework, one line, and an exit code that says it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.test_fuzz import FEW, MANY, SIGNS, TRAIN_KEYS, VALUES, check, stop

pytestmark = pytest.mark.filterwarnings("ignore")

SWEEPS = st.one_of(
    st.lists(VALUES, min_size=1, max_size=3).map(",".join),
    st.lists(VALUES, min_size=1, max_size=3).map(lambda values: f"choice({','.join(values)})"),
    st.lists(st.integers(-3, 5).map(str), min_size=0, max_size=4).map(
        lambda values: f"range({','.join(values)})"
    ),
    st.tuples(VALUES, VALUES).map(lambda ends: f"interval({ends[0]},{ends[1]})"),
    st.sampled_from(["glob(*)", "glob([r*,p*],exclude=r*)", "glob()", "glob(", "shuffle(1,2,3)"]),
    st.sampled_from(["tag(a,1,2)", "sort(3,1,2)", "int(1.5),2", "[1,2],[3]", "{a:1},{b:2}"]),
    st.sampled_from(["'a,b',c", "\"a\",'b'", "1,,2", ",", "1,", "null,1", "shuffle(range(1,3))"]),
    st.sampled_from(
        ["1,2,3,4,5", "pixelcnn,row_lstm", "table4", "digits,mesh", "range(1,2000000)"]
    ),
)
OF_HYDRA = [
    *("hydra.sweeper.max_batch_size=0", "hydra.sweeper.max_batch_size=x", "hydra.sweeper.params=1"),
    *("hydra/launcher=local_joblib", "hydra/launcher=nope", "hydra/launcher=basic,local_joblib"),
    *("hydra/sweeper=optuna_study", "hydra/sweeper=nope", "hydra.sweeper.n_trials=0"),
    *("hydra.mode=RUN", "hydra.mode=RUN,MULTIRUN", "hydra.sweep.dir=/", "hydra.sweep.subdir=a,b"),
    *("+hydra.sweeper.params.seed='0,1'", "hydra.job.num=1,2", "hydra.sweeper=null"),
    *("sweep=table4", "sweep=table4,table2", "sweep=nope", "scale=small", "experiment=glob(*)"),
]


@st.composite
def words(draw):
    """Words of a multirun, some swept and some not."""
    swept = st.builds(
        lambda sign, key, values: f"{sign}{key}={values}",
        SIGNS,
        st.sampled_from(TRAIN_KEYS),
        SWEEPS,
    )
    plain = st.builds(lambda key, value: f"{key}={value}", st.sampled_from(TRAIN_KEYS), VALUES)
    kinds = st.one_of(swept, swept, plain, st.sampled_from(OF_HYDRA))
    return draw(st.lists(kinds, min_size=1, max_size=3))


@pytest.fixture
def no_job(monkeypatch):
    """Everything happens but the jobs."""
    monkeypatch.setattr("pixelrnn.cli.multirun.jobs._run", lambda *_: 0)
    monkeypatch.setattr("pixelrnn.training.run.carry_out", stop)


def fuzz(how):
    given(words())(how(lambda drawn: check(["train", "-m", *drawn])))()


@pytest.mark.long
def test_multiruns(no_job):
    fuzz(settings(FEW, max_examples=5))


@pytest.mark.slow
def test_multiruns_long(no_job):
    fuzz(settings(MANY, max_examples=250))
