"""The states of all global random generators, as tensors and plain numbers for a checkpoint."""

import random
from typing import Any, cast

import numpy as np
import torch

from pixelrnn import ranks
from pixelrnn.training import world


def snapshot() -> tuple[Any, ...]:
    """The states of all generators as they come, within a tenth of a millisecond."""
    return (
        random.getstate(),
        np.random.get_state(legacy=True),
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    )


def captured(taken: tuple[Any, ...] | None = None) -> dict[str, Any]:
    """The states of Python's, NumPy's and torch's generators, those of CUDA devices included.

    Args:
        taken: by `snapshot`; None: those of now.
    """
    (version, words, gauss), numpy_state, torch_state, cuda_states = taken or snapshot()
    kind, keys, position, has_gauss, cached = cast(
        tuple[str, np.ndarray, int, int, float], numpy_state
    )
    return {
        "python": [version, list(words), gauss],
        "numpy": [str(kind), keys.tolist(), int(position), int(has_gauss), float(cached)],
        "torch": torch_state,
        "cuda": cuda_states,
    }


def restore(states: dict[str, Any]) -> None:
    """Put all generators into states that `captured` returned.

    The states of CUDA devices are restored where there are as many devices as then.
    """
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def captured_of_all() -> dict[str, Any]:
    """What `captured` returns in the first process; with several, those of the others beside it."""
    own, *others = world.gathered(captured())
    return {**own, "others": others} if others else own


def restore_own(states: dict[str, Any]) -> None:
    """Restore what `captured_of_all` returned, for this process.

    A process that the earlier training did not have gets a stream of its own, keyed by its rank
    and the state of the first process.
    """
    here = ranks.place()
    rank = 0 if here is None else here.rank
    others = states.get("others", [])
    if rank <= len(others):
        restore(states if rank == 0 else others[rank - 1])
        return
    restore(states)
    set_apart()


def set_apart() -> None:
    """Give each process but the first a stream of its own, for draws such as those of dropout."""
    here = ranks.place()
    if here is None or here.rank == 0:
        return
    seed = int(
        np.random.SeedSequence([torch.initial_seed(), _drawn(), here.rank]).generate_state(1)[0]
    )
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _drawn() -> int:
    """A number that depends on how far torch's generator has come."""
    return int(torch.randint(2**31, ()))
