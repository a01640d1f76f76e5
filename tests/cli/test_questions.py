"""Questions about a command: --help, --cfg, --info and completion, in single runs and multiruns."""

import subprocess

import pytest
import yaml

from pixelrnn.cli import command_line, completion, compose, questions
from pixelrnn.cli.main import VERBS, main

GROUPS = ("data", "model", "optimizer", "trainer", "callbacks", "logger")


def entries(text):
    """Key -> text of its entry."""
    found, key = {}, None
    for line in text.splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            word, _, about = line.strip().partition("  ")
            key = word.partition("=")[0]
            found[key] = about.strip()
        elif line.startswith("   ") and key:
            found[key] = f"{found[key]} {line.strip()}".strip()
    return found


@pytest.mark.parametrize("choice", ["", "model=row_lstm data=cifar10", "model=pixelcnn data=mesh"])
def test_every_key_of_train_is_explained(choice):
    words = choice.split()
    found = entries(questions.help_text(command_line.parsed(words)))
    config = compose.composed(words)
    for group in GROUPS:
        for key in leaves(config[group], group):
            assert found.get(key) or key.startswith("logger.wandb.settings."), key
    assert set(config) - set(GROUPS) - {"paths", "likelihood", "kernel", "scheduler"} <= set(found)
    assert {"paths.runs", "paths.data", "hydra/launcher", "experiment"} <= set(found)


def leaves(node, path):
    for key, value in node.items():
        if isinstance(value, dict) and value and key not in ("likelihood", "kernel"):
            yield from leaves(value, f"{path}.{key}")
        elif not key.startswith("_"):
            yield f"{path}.{key}"


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-c", "job", "--resolve"], ["--cfg=all"]])
def test_the_configuration_is_shown(flags, capfd):
    assert main(["train", "model.layers=3", *flags, "seed=4"]) == 0
    shown = yaml.safe_load(capfd.readouterr().out)
    assert shown["model"]["layers"] == 3
    assert shown["data"]["seed"] == (4 if "--resolve" in flags else "${seed}")
    assert ("hydra" in shown) == ("--cfg=all" in flags)


@pytest.mark.parametrize("topic", ["defaults-tree", "searchpath", "defaults", "config"])
def test_hydra_tells_how_it_composes(topic, capfd):
    assert main(["train", "--info", topic]) == 0
    out, err = capfd.readouterr()
    assert len(out.splitlines()) > 3
    assert err == ""


@pytest.mark.parametrize(
    ("line", "has", "lacks"),
    [
        ("pixelrnn ev", ["evaluate"], ["train"]),
        ("pixelrnn ", sorted(VERBS), []),
        ("pixelrnn train model=", ["model=pixelcnn", "model=row_lstm"], ["model=digits"]),
        ("pixelrnn train -m model=pixelcnn,ro", ["model=pixelcnn,row_lstm"], []),
        ("pixelrnn train model=row_lstm model.ke", ["model.kernel_size="], ["model.hidden="]),
        ("pixelrnn train model=pixelcnn model.f", ["model.first_kernel_size="], ["model.forget_"]),
        ("pixelrnn train exp", ["experiment="], []),
        ("pixelrnn train experiment=mnist_r", ["experiment=mnist_row_lstm"], []),
        ("pixelrnn train se", ["seed="], ["data="]),
        ("pixelrnn train call", ["callbacks.", "callbacks="], []),
        ("pixelrnn train run=", ["run=runs/mine"], []),
        ("pixelrnn train modle=x mod", [], ["model="]),
        ("pixelrnn plan s", ["steps=", "seconds=", "seed=", "sweep="], ["data="]),
        ("pixelrnn plan model=pi", ["model=pixelcnn"], ["model=digits"]),
        ("pixelrnn sample run=r", ["run=runs/mine"], []),
        ("pixelrnn evaluate spl", ["split="], ["run="]),
        ("pixelrnn evaluate split=", ["split=train", "split=val", "split=test"], []),
        ("pixelrnn complete occlude=b", ["occlude=bottom"], ["occlude=all"]),
        ("pixelrnn figure su", ["surprise"], ["run="]),
        ("pixelrnn figure surprise st", ["style="], ["split="]),
        ("pixelrnn figure surprise style=", ["style=light", "style=dark"], []),
        ("pixelrnn figure surprise run=", ["run=runs/mine"], []),
        ("pixelrnn figure surprice st", [], ["style="]),
        ("pixelrnn no_such ", [], ["run="]),
    ],
)
def test_completion(line, has, lacks, tmp_path):
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/config.yaml").touch()
    found = completion.candidates(line, VERBS)
    assert set(has) <= set(found), found
    assert not set(lacks) & set(found)


@pytest.mark.parametrize("words", [["-sc", "bash"], ["train", "-sc", "install=bash"]])
def test_the_script_of_completion_is_bash(words, capfd):
    assert main(words) == 0
    script = capfd.readouterr().out
    fake = 'pixelrnn() { printf "model=pixelcnn\\nmodel=row_lstm\\n"; }\n'
    use = 'COMP_LINE="pixelrnn train model=" COMP_POINT=21\n_pixelrnn\necho "${COMPREPLY[@]}"\n'
    for breaks, expected in (("=", "pixelcnn row_lstm"), (" ", "model=pixelcnn model=row_lstm")):
        run = subprocess.run(
            ["bash", "-c", f"{fake}{script}COMP_WORDBREAKS='{breaks}'\n{use}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == expected
