"""Run folders from somebody else, which try to run code or to use up the machine."""

import yaml

from tests.faults.fault import FINISHED, HALF_DONE, NOTHING_WRITTEN, RUN, Fault, at, holding
from tests.faults.run_folders import BEST, EVALUATE, RERUN, bomb, with_content


def naming(target, *keys):
    """Let a node of the configuration name something to call."""

    def change(path):
        config = yaml.safe_load(path.read_text())
        node = config
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = {"_target_": target, "path": "called", "command": "touch called"}
        path.write_text(yaml.safe_dump(config))

    return at("config.yaml", change)


def _refused(what, keys, target, why, command=RERUN):
    return Fault(
        what,
        naming(target, *keys),
        f"pixelrnn: run/config.yaml: will not call {target}: {why}",
        2,
        NOTHING_WRITTEN,
        HALF_DONE if command is RERUN else FINISHED,
        command,
    )


_NO_PART = "it is no part of a run"


def another_server(path):
    config = yaml.safe_load(path.read_text())
    node = {"_target_": "pytorch_lightning.loggers.WandbLogger", "offline": False}
    node["settings"] = {"base_url": "http://127.0.0.1:9"}
    config["logger"]["wandb"] = node
    path.write_text(yaml.safe_dump(config))


FAULTS = (
    _refused("a callback is `os.system`", ("callbacks", "evil"), "os.system", _NO_PART),
    _refused(
        "a callback is `pixelrnn.atomic.os.system`",
        ("callbacks", "evil"),
        "pixelrnn.atomic.os.system",
        "it leaves pixelrnn by os",
    ),
    Fault(
        "the logger names a server for W&B, which would be given the user's key",
        at("config.yaml", another_server),
        "pixelrnn: run/config.yaml: will not use logger.wandb.settings.base_url: a stored run may "
        "not say which server W&B talks to; set WANDB_BASE_URL, and remove it there",
        2,
        NOTHING_WRITTEN,
        HALF_DONE,
        RERUN,
    ),
    _refused(
        "the logger is `pytorch_lightning.os.system`",
        ("logger", "evil"),
        "pytorch_lightning.os.system",
        "it leaves pytorch_lightning by os",
    ),
    _refused(
        "the data set is `subprocess.Popen`",
        ("data",),
        "subprocess.Popen",
        _NO_PART,
        EVALUATE,
    ),
    Fault(
        "`best.ckpt` describes `os.system` as its model",
        at(BEST, with_content(lambda c: c.update(model={"_target_": "os.system"}))),
        "pixelrnn: run: will not call os.system: it is no part of a run",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        EVALUATE,
    ),
    Fault(
        "`config.yaml` has a tag that makes Python objects",
        at("config.yaml", holding("!!python/object/apply:os.system [touch called]")),
        "pixelrnn: run/config.yaml: not readable (could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system' …)",
        2,
        NOTHING_WRITTEN,
        HALF_DONE,
        RERUN,
    ),
    Fault(
        "forty lines of `config.yaml` stand for 10¹² values",
        at("config.yaml", holding(bomb(40))),
        "pixelrnn: run/config.yaml: not readable (it stands for more than 200,000 values)",
        2,
        NOTHING_WRITTEN,
        HALF_DONE,
        RERUN,
    ),
    Fault(
        "`config.yaml` contains itself",
        at("config.yaml", holding("a: &a [*a]")),
        "pixelrnn: run/config.yaml: not readable (it is nested more than 64 levels deep)",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        (*EVALUATE, "split=val"),
    ),
    Fault(
        "`results.json` is nested a million deep",
        at("results.json", holding("[" * 10**6)),
        "pixelrnn: run/results.json: not readable (…); delete it to evaluate anew",
        2,
        NOTHING_WRITTEN,
        FINISHED,
        ("train", f"run={RUN}"),
    ),
)
