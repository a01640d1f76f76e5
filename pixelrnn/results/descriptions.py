"""What a file of experiments/tables says: a table with its rows, or the benchmarks they share.

Settings are written as on the command line: the name of a group with one of its choices
(`model: row_lstm`), or a dotted key with its value (`model.layers: 12`).
"""

import re
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pixelrnn.errors import ConfigError

PAPER = "paper"
"""The scale of the paper's own data and sizes, which every benchmark has."""
Settings = dict[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_T = TypeVar("_T")


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Described):
    """A row that can be trained.

    Attributes:
        name: as in the paper.
        id: the name of its experiment, `pixelrnn train experiment=<id>`.
        like: the id of another row: this row is that one; with settings, it starts from that one.
        settings: what this row sets, besides the settings of the table.
        published: the paper's value, if it has one.
        published_train: the paper's value on training images, if it has one.
    """

    name: str
    id: str | None = Field(default=None, pattern=r"^\w+$")
    like: str | None = None
    settings: Settings = {}
    published: float | None = None
    published_train: float | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Row":
        if self.id is None and (self.like is None or self.settings):
            raise ValueError("a row has an id, or is `like` another row and sets nothing")
        return self


class Baseline(_Described):
    """A row of the paper that is not trained here, with a sign before its value."""

    name: str
    published: float
    sign: Literal["", "~", "<="] = ""


class TableFile(_Described):
    """A table.

    Attributes:
        title: what it compares.
        source: where the paper has it.
        split: the images that its values are of.
        metric: the metric that its values are.
        unit: the metric's unit.
        scales: at which scales there is this table; null: those that the benchmarks of all rows
            have.
        settings: what all rows set.
        fixed: dotted keys that a run must share with its row, besides those of model and data.
        rows: in the order in which they are shown.
        baselines: rows of the paper that are not trained here.
        notes: what a reader must know.
    """

    title: str
    source: str
    split: Literal["train", "val", "test"]
    metric: Literal["bits_per_dim", "nll"]
    unit: str
    scales: list[str] | None = None
    settings: Settings = {}
    fixed: list[str] = []
    rows: list[Row]
    baselines: list[Baseline] = []
    notes: list[str] = []


class Benchmark(_Described):
    """Data and sizes: the paper's, and at other scales, each under its name, what differs.

    Attributes:
        paper: the paper's data and sizes.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Settings]

    paper: Settings

    @model_validator(mode="after")
    def _named(self) -> "Benchmark":
        for scale, settings in self.others.items():
            if not re.fullmatch(r"[a-z]\w*", scale):
                raise ValueError(
                    f"scale {scale}: its name must have small letters, digits and _ alone"
                )
            if "data" not in settings:
                raise ValueError(f"scale {scale}: data: must be given")
            for key in settings:
                if "." not in key and key != "data":
                    raise ValueError(
                        f"scale {scale}: {key}: of the groups, only data is chosen here; "
                        f"others in conf/scale/{scale}.yaml"
                    )
        return self

    @property
    def others(self) -> dict[str, Settings]:
        """Scale -> its data and sizes, but for the paper's."""
        return self.__pydantic_extra__

    @property
    def scales(self) -> list[str]:
        """All scales, the paper's first."""
        return [PAPER, *self.others]


def read_table(path: Path) -> TableFile:
    """Read the description of a table.

    Raises:
        ConfigError: one line that names the file, the key and what is wrong.
    """
    return _read(path, TableFile)


def read_benchmarks(path: Path) -> dict[str, Benchmark]:
    """Read a file of benchmarks, name -> benchmark.

    Raises:
        ConfigError: one line that names the file, the key and what is wrong.
    """
    return _read(path, dict[str, Benchmark])


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        content = yaml.load(path.read_bytes(), _LOADER)
        return TypeAdapter(kind).validate_python(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        reason = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{path}: {key}: {reason[0].lower()}{reason[1:]}") from error
