"""Counts of Lightning's loops in a saved state: what is done, and what is to be done again."""

from typing import Any


def settle_validation(loops: dict[str, Any], due: bool) -> None:
    """Say in the counts of validation batches whether a validation is to be done.

    Lightning validates first when it resumes from a state of which one batch more was started than
    was completed; as the current pass has completed none, it begins with the first.
    """
    progress = loops["fit_loop"]["epoch_loop.val_loop.batch_progress"]
    completed = progress["total"]["completed"]
    progress["total"] = dict.fromkeys(progress["total"], completed)
    if due:
        progress["total"] |= {"ready": completed + 1, "started": completed + 1}
        progress["current"] = dict.fromkeys(progress["current"], 0)
        progress["is_last_batch"] = False


def rewind(loops: dict[str, Any], batch: int) -> None:
    """Count the batches from this one on as not done: their gradients are lost.

    Lightning takes counts that are all alike for those of an epoch that has ended. So one batch
    more is counted as begun; for that, it adds one to the number of steps that loggers see.
    """
    epoch = loops["fit_loop"]
    progress = epoch["epoch_loop.batch_progress"]
    undone = progress["current"]["completed"] - batch
    for counts in (progress["total"], progress["current"]):
        counts |= dict.fromkeys(counts, counts["completed"] - undone)
    for key in ("ready", "started"):
        progress["total"][key] += 1
    progress["is_last_batch"] = False
    epoch["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1
