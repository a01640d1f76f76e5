"""Run folders as training leaves them, without training."""

import json

import yaml


def config(**changes):
    whole = {
        "data": {"_target_": "pixelrnn.data.CIFAR10", "val_size": 5000, "seed": 0},
        "model": {
            "_target_": "pixelrnn.models.RowLSTM",
            "hidden": 128,
            "head_width": 1024,
            "layers": 12,
            "residual": True,
            "skip": True,
            "kernel_size": 3,
            "first_kernel_size": 7,
            "color_conditioning": True,
        },
        "trainer": {"max_epochs": 100},
        "seed": 0,
        "label": "cifar10-row_lstm",
        "sweep_name": "table2",
        "scale_name": None,
        "folder": None,
        "signature": None,
    }
    for key, value in changes.items():
        node = whole
        *parents, last = key.split("__")
        for parent in parents:
            node = node[parent]
        node[last] = value
    return whole


def write(root, name, bits, seed=0, steps=100, state="finished", **changes):
    folder = root / name
    folder.mkdir(parents=True)
    signature = name.rpartition("-")[2]
    whole = config(seed=seed, data__seed=seed, folder=str(folder), signature=signature, **changes)
    (folder / "config.yaml").write_text(yaml.safe_dump(whole))
    if state == "failed":
        (folder / "failed.json").write_text('{"type": "OSError", "message": "disc full"}')
    if state != "finished":
        return folder
    metrics = {
        f"{split}/{metric}": bits + extra
        for split, extra in (("train", -0.1), ("val", 0.0), ("test", 0.01))
        for metric in ("bits_per_dim", "nll")
    }
    record = {
        "label": whole["label"],
        "dataset_id": whole["data"]["_target_"].rpartition(".")[2].lower(),
        "signature": signature,
        "sweep_name": whole["sweep_name"],
        "scale_name": whole["scale_name"],
        "seed": seed,
        "metrics": metrics,
        "parameters": 1234,
        "steps": steps,
        "training_seconds": 60.0,
        "wandb_id": None,
        "environment": {"commit": "abc"},
        "config": whole,
    }
    (folder / "results.json").write_text(json.dumps(record, indent=2))
    (folder / "metrics.csv").write_text(
        f"step,train/nll,val/bits_per_dim\n10,5.0,\n19,,{bits + 1}\n99,,{bits}\n"
    )
    return folder
