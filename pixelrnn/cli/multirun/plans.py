"""What a multirun will do, known before any of its jobs starts."""

from dataclasses import dataclass

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from pixelrnn.cli import compose
from pixelrnn.errors import ConfigError
from pixelrnn.results import hydra_groups


@dataclass(frozen=True)
class Plan:
    """A multirun.

    Attributes:
        first: the configuration of its first job, Hydra's node included.
        swept: key -> its values, as written.
    """

    first: DictConfig
    swept: dict[str, str]


def of(config_name: str, argv: list[str]) -> Plan:
    """Compose the first job, and look for every choice that another job makes.

    Args:
        config_name: primary config of the verb.
        argv: overrides and the flag of a multirun.

    Raises:
        ConfigError: a job would not compose, or there is another flag.
    """
    words = [word for word in argv if word not in compose.FLAGS]
    flags = [word for word in words if word.startswith("-")]
    if flags:
        raise ConfigError(f"{flags[0]}: not in a multirun; only overrides")
    hydra_groups.register(argv)
    folder = str(compose.conf_dir())
    with (
        compose.clear_errors(config_name, words),
        hydra.initialize_config_dir(version_base="1.3", config_dir=folder),
    ):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration(config_name, words, run_mode=RunMode.MULTIRUN)
        params = master.hydra.sweeper.get("params") or {}
        given = [f"{key}={values}" for key, values in params.items()]
        parser = OverridesParser.create(config_loader=loader)
        parsed = parser.parse_overrides([*given, *master.hydra.overrides.task])
        overrides = {override.get_key_element(): override for override in parsed}
        first = {key: _first(override) for key, override in overrides.items()}
        for key, override in overrides.items():
            for choice in _unlisted(override, loader):
                _job(loader, master, first | {key: choice})
        swept = {
            key: str(override.input_line).partition("=")[2]
            for key, override in overrides.items()
            if override.is_sweep_override()
        }
        return Plan(_job(loader, master, first), swept)


def _job(loader: ConfigLoader, master: DictConfig, words: dict[str, str]) -> DictConfig:
    """The configuration of one job."""
    return loader.load_sweep_config(master, [f"{key}={value}" for key, value in words.items()])


def _unlisted(override: Override, loader: ConfigLoader) -> list[str]:
    """Swept choices of a group that its folder does not list: wrong, or null, or elsewhere."""
    listed = loader.get_group_options(override.key_or_group)
    if not listed or not override.is_discrete_sweep():
        return []
    return [choice for choice in override.sweep_string_iterator() if choice not in listed]


def _first(override: Override) -> str:
    if override.is_discrete_sweep():
        return next(iter(override.sweep_string_iterator()))
    if override.is_interval_sweep():
        return str(override.value().start)
    return override.get_value_element_as_str()
