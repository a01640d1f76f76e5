"""How many processes train, and on which devices: from trainer.devices and who started them."""

import contextlib
import inspect
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from pixelrnn import ranks
from pixelrnn.errors import ConfigError
from pixelrnn.training import accelerators

_STRATEGIES = (
    "auto",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_find_unused_parameters_false",
)

_SYNC_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")  # as torch calls it since 2.13
    if name in inspect.signature(DistributedDataParallel).parameters
)


class Layout(NamedTuple):
    """The processes of a run.

    Attributes:
        local: processes on this machine.
        machines: number of machines, each with as many processes.
        devices: trainer.devices, as Lightning takes it.
        accelerator: where they compute, in Lightning's words.
    """

    local: int
    machines: int
    devices: int | list[int]
    accelerator: str = "auto"

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.local * self.machines


class Started(LightningEnvironment):
    """Tells Lightning that the processes are there already, and which one this is."""

    creates_processes_externally = True

    def local_rank(self) -> int:
        """The number of this process among those of its machine."""
        here = ranks.place()
        return 0 if here is None else here.local_rank

    def node_rank(self) -> int:
        """The number of this machine."""
        here = ranks.place()
        return 0 if here is None else here.rank // here.local_size

    def teardown(self) -> None:
        """Leave the environment as it is: the evaluation after the training needs it."""


def layout(config: dict[str, Any]) -> Layout:
    """The processes that a configuration asks for, or that were started already.

    Args:
        config: of a run, filled.

    Raises:
        ConfigError: they cannot be had, or cannot train together; each line names the keys.
    """
    node = config["trainer"]
    here = ranks.place()
    given = _devices(node)
    machines = node.get("num_nodes") or (1 if here is None else here.machines)
    if here is None:
        local = _count(given, _kind(node))
    else:
        local = here.local_size if given in ("auto", -1) else _count(given, "")
    numbers = given if isinstance(given, list) else local
    found = Layout(local, machines, numbers, node.get("accelerator") or "auto")
    _check_started(found, here)
    _check_devices(found, node)
    batch = config["data"].get("batch_size")
    if batch is not None and batch < found.size:
        raise ConfigError(
            f"data.batch_size={batch}: is the batch of all {found.size} processes together, so "
            f"some would have no image; set it to at least {found.size}, or trainer.devices lower"
        )
    return found


def arguments(found: Layout, node: dict[str, Any]) -> dict[str, Any]:
    """Arguments of Lightning's Trainer for these processes; `plugins` is a list to be added to.

    Args:
        found: the processes.
        node: `trainer` of the configuration.

    Raises:
        ConfigError: the strategy is none that works here.
    """
    strategy = node.get("strategy") or "auto"
    if strategy not in _STRATEGIES:
        raise ConfigError(
            f"trainer.strategy={strategy}: choose from {', '.join(_STRATEGIES)}; other strategies "
            "split or copy what this project writes and resumes itself"
        )
    here = ranks.place()
    if found.size == 1 and (here is None or strategy == "auto"):
        return {
            "accelerator": found.accelerator,
            "devices": found.devices,
            "num_nodes": 1,
            "strategy": "auto",
            "plugins": [LightningEnvironment()],  # else Lightning requeues jobs of SLURM, too
        }
    buffers: dict[str, Any] = {_SYNC_BUFFERS: False}  # masks and such are the same everywhere
    # Lightning requeues a job at SIGUSR1, but knows SLURM only where tasks are counted per node
    by_srun = here is not None and here.starter == "srun"
    by_slurm = by_srun and "SLURM_NTASKS_PER_NODE" in os.environ
    return {
        "accelerator": found.accelerator,
        "devices": found.devices,
        "num_nodes": found.machines,
        "strategy": DDPStrategy(
            find_unused_parameters=strategy.endswith("_true"),
            **buffers,
            timeout=timedelta(days=30),  # see `world`
        ),
        "plugins": [SLURMEnvironment(auto_requeue=False) if by_slurm else Started()],
    }


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What torch says of weights that a loss does not depend on becomes one line.

    Raises:
        ConfigError: the model has such weights, and the strategy does not look for them.
    """
    try:
        yield
    except RuntimeError as error:
        if "Expected to have finished reduction" not in str(error):
            raise
        raise ConfigError(
            "model: some of its weights take no part in the loss; several processes need "
            "trainer.strategy=ddp_find_unused_parameters_true for it"
        ) from error


def _devices(node: dict[str, Any]) -> int | str | list[int]:
    """trainer.devices: a number, a list of device numbers, or "auto".

    Raises:
        ConfigError: it is none of these.
    """
    given = node.get("devices", "auto")
    if isinstance(given, str) and given != "auto":
        parts = [part.strip() for part in given.split(",") if part.strip()]
        if not parts or not all(part.lstrip("-").isdecimal() for part in parts):
            raise ConfigError(f"trainer.devices={given}: give a number, a list of numbers, or auto")
        given = [int(part) for part in parts] if "," in given else int(parts[0])
    if given is None:
        return "auto"
    numbers = given if isinstance(given, list) else [given]
    sound = given == "auto" or all(type(one) is int for one in numbers)
    if not sound or given == [] or (isinstance(given, int) and given < 1 and given != -1):
        raise ConfigError(f"trainer.devices={given}: give at least 1, a list of numbers, or auto")
    return given


def _kind(node: dict[str, Any]) -> str:
    """The kind of device: "cpu", "cuda" or "mps"."""
    try:
        return accelerators.device(node.get("accelerator") or "auto").type
    except ConfigError as error:
        raise ConfigError(f"trainer.{error}") from error


def _count(given: int | str | list[int], kind: str) -> int:
    """Processes on this machine."""
    if isinstance(given, list):
        return len(given)
    if isinstance(given, int) and given != -1:
        return given
    return torch.cuda.device_count() if kind == "cuda" else 1


def _check_started(found: Layout, here: ranks.Place | None) -> None:
    if here is None:
        if found.machines > 1:
            raise ConfigError(
                f"trainer.num_nodes={found.machines}: this command starts processes on this "
                "machine only; start it on every machine with torchrun or srun"
            )
        return
    if (found.local, found.machines) != (here.local_size, here.machines):
        each = f" on each of {here.machines} machines" if here.machines > 1 else ""
        raise ConfigError(
            f"{here.starter} started {here.local_size} processes{each}, but trainer.devices="
            f"{found.devices} and trainer.num_nodes={found.machines}: add trainer=ddp, which takes "
            "what was started, or set these keys alike"
        )


def _check_devices(found: Layout, node: dict[str, Any]) -> None:
    """The devices are there."""
    kind = _kind(node)
    if kind == "cuda":
        there = torch.cuda.device_count()
        if isinstance(found.devices, list):
            bad = [number for number in found.devices if not 0 <= number < there]
            if bad:
                raise ConfigError(
                    f"trainer.devices={found.devices}: this machine has GPUs 0 to {there - 1}"
                )
        elif found.devices > there:
            raise ConfigError(f"trainer.devices={found.devices}: this machine has {there} GPUs")
    elif kind == "mps" and found.local > 1:
        raise ConfigError(f"trainer.devices={found.devices}: Apple's MPS is one device")
    elif kind == "cpu" and isinstance(found.devices, list):
        raise ConfigError(f"trainer.devices={found.devices}: on the CPU, give a number")
