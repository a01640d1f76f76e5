"""The whole page, once; then what its parts find where something is wrong."""

import io
import json
import math
import socket
import subprocess
import threading
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement
from rich.console import Console

from pixelrnn import cores
from pixelrnn.cli import doctor, main
from pixelrnn.doctor import gpu, kernels, machine, page, places, rungs, services
from pixelrnn.doctor.finding import Finding, Section, found
from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops.conv_lstm.graph_choice import Trials
from tests.ops.conv_lstm import recorders

SECRET = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """All sections; times are not measured, but for bfloat16."""
    root = tmp_path_factory.mktemp("doctor")
    (root / "runs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.timing, "medians", lambda work, *_, **__: dict.fromkeys(work, 0.5))
        patch.setenv("WANDB_API_KEY", SECRET)
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield list(doctor._sections(root / "runs", root / "data", network=False))
    assert list(root.rglob("*")) == [root / "runs"], "it leaves nothing behind"


def text_of(sections, width=100):
    out = io.StringIO()
    console = Console(file=out, width=width)
    for section in sections:
        page.show(console, section)
    page.summary(console, sections)
    return out.getvalue()


def one(findings):
    (finding,) = findings
    return finding


def test_all_is_well_here_and_every_section_is_there(sections):
    assert page.failed(sections) == []
    titles = " ".join(section.title for section in sections)
    for title in ("this machine", "Kernels", "GPU", "Folders", "Data sets", "W&B", "extras"):
        assert title in titles
    named = {finding.name for section in sections for finding in section.findings}
    assert {rung.name for rung in rungs.rungs()} <= named
    assert {"versions", "cores", "compiler", "bfloat16", "runs folder", "W&B key"} <= named


def test_a_page_is_no_wider_than_a_terminal(sections):
    lines = text_of(sections).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1].endswith("checks, none failed")


def test_no_secret_is_shown(sections):
    everything = text_of(sections) + json.dumps(page.as_json(sections))
    assert "in WANDB_API_KEY" in everything
    assert SECRET not in everything


def test_numbers_are_there_for_programs(sections):
    answer = json.loads(json.dumps(page.as_json(sections)))
    assert answer["passed"] is True
    checks = {(check["name"], check.get("dtype")): check for check in answer["checks"]}
    tap_conv = checks["tap_conv: native", "float32"]
    assert tap_conv["times_reference"] == 1
    assert tap_conv["seconds"] == 0.5
    assert 0 < tap_conv["errors"]["first values"] < tap_conv["allowed"]
    assert checks["cores", None]["used"] >= 1


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("note", 0), ("failed", 1)])
@pytest.mark.parametrize("words", [[], ["format=json"]])
def test_the_exit_code_says_whether_a_check_failed(monkeypatch, capsys, words, state, code):
    finding = Finding("disc", state, "full", "delete what is not needed")
    monkeypatch.setattr(doctor, "_sections", lambda *_: [Section("Folders", [finding])])
    assert main.main(["doctor", *words]) == code
    said = capsys.readouterr().out
    if words:
        assert json.loads(said)["passed"] == (code == 0)
    else:
        assert "-> delete what is not needed" in said
        assert ("1 of 1 checks failed: disc" in said) == (code == 1)


def test_help_and_wrong_words_are_those_of_every_verb(capsys):
    assert main.main(["doctor", "--help"]) == 0
    assert main.main(["doctor", "format=xml"]) == 2
    assert "format=xml" in capsys.readouterr().err


def test_a_check_that_raises_hides_no_other():
    def broken():
        yield Finding("first", "ok", "there")
        raise OSError("what a driver says")

    first, second = found("device", broken, "look at nvidia-smi")
    assert (first.state, second.state, second.advice) == ("ok", "failed", "look at nvidia-smi")
    assert "what a driver says" in second.text


def test_long_lines_are_broken_at_spaces():
    long = Finding("folder", "failed", "word " * 60, "advice " * 30)
    lines = text_of([Section("Folders", [long, Finding("x", "ok", "/a" * 100)])]).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.count("word") for line in lines) == 60


# folders


def test_locks_hold_here(tmp_path):
    assert places.lock_fault(tmp_path / "lock") is None


@pytest.mark.parametrize(
    ("method", "says"),
    [("acquire", "that was held free"), ("release", "given back was found held")],
)
def test_locks_that_do_not_hold_are_found(monkeypatch, tmp_path, method, says):
    """As on network file systems that grant every lock, or lose what was given back."""
    if method == "acquire":
        monkeypatch.setattr(places.FileLock, "acquire", lambda *_, **__: None)
    else:
        monkeypatch.setattr(places, "_tried_by_another", lambda _: "held")
    fault = places.lock_fault(tmp_path / "lock")
    assert says in fault


def test_another_process_that_fails_is_told(monkeypatch, tmp_path):
    done = SimpleNamespace(stdout="", stderr="OSError: No locks available\n", returncode=1)
    monkeypatch.setattr(places.subprocess, "run", lambda *_, **__: done)
    assert "OSError: No locks available" in places.lock_fault(tmp_path / "lock")

    def late(*_, **__):
        raise subprocess.TimeoutExpired("python", 20)

    monkeypatch.setattr(places.subprocess, "run", late)
    assert "for 20 s" in places.lock_fault(tmp_path / "lock")


def roots(runs):
    return one(
        x for x in places.findings({"runs": runs, "data": "data"}) if x.name == "runs folder"
    )


def test_little_room_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "lock_fault", lambda _: None)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: usage(10**8))
    finding = roots(str(tmp_path))
    assert finding.state == "failed"
    assert "0.09 GiB free" in finding.text
    assert "paths.runs" in finding.advice
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: usage(10**12))
    assert roots(str(tmp_path)).state == "ok"


def test_broken_locks_are_a_failure_with_advice(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "lock_fault", lambda _: "all are granted")
    finding = roots(str(tmp_path))
    assert finding.state == "failed"
    assert "train one run here at once" in finding.advice


def test_a_file_where_a_folder_should_be_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("")
    finding = roots(str(tmp_path / "file" / "runs"))
    assert finding.state == "failed"
    assert f"{tmp_path / 'file'} is no folder" in finding.text


def test_a_folder_that_cannot_be_written_is_a_failure(monkeypatch, tmp_path):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(places.tempfile, "TemporaryDirectory", refused)
    finding = roots(str(tmp_path))
    assert (finding.state, "Permission denied" in finding.text) == ("failed", True)


# the machine


def test_little_memory_is_a_failure(monkeypatch):
    monkeypatch.setattr(machine, "_meminfo", lambda _: 2**28)
    assert one(machine._memory()).state == "failed"
    monkeypatch.setattr(machine, "_meminfo", lambda _: None)
    assert one(machine._memory()).state == "note"


def test_a_package_that_is_missing_is_a_failure(monkeypatch):
    facts = machine.record.environment()
    gone = facts | {"versions": facts["versions"] | {"wandb": None}}
    monkeypatch.setattr(machine.record, "environment", lambda: gone)
    finding = one(machine._versions())
    assert (finding.state, finding.advice) == ("failed", "pip install wandb")


def test_a_share_of_the_machine_is_told(monkeypatch):
    monkeypatch.setattr(cores, "quota", lambda: 1.5)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first, *_ = machine._cores()
    assert first.text.startswith("1 used (")
    assert "quota 1.5, OMP_NUM_THREADS=1" in first.text


def test_the_compiler_is_described(monkeypatch):
    finding = one(machine._compiler())
    assert finding.numbers["instructions"] != "none found"
    monkeypatch.setattr(compiler, "_toolchain", lambda: compiler._Toolchain(["false"], [], b""))
    with pytest.raises(CompilerError, match="does not work"):
        compiler.description()
    assert one(machine._compiler()).state == "note"


def test_bfloat16_that_is_slower_is_a_note(monkeypatch):
    def slower(work, **_):
        return {"float32": 0.01, "bfloat16": 0.03}

    monkeypatch.setattr(machine.timing, "medians", slower)
    finding = one(machine.bfloat16(torch.device("cpu")))
    assert finding.state == "note"
    assert "0.3 times as fast" in finding.text


# GPUs, with a CPU in their place


def graphs(recorder, gain):
    def measure(work, wait):
        return {"plain": gain, "graphs": 1.0}

    return list(gpu.graphs(torch.device("cpu"), Trials(recorder, measure)))


def test_graphs_are_proven_for_both_layers_and_dtypes():
    findings = graphs(recorders.Honest(), 3.0)
    assert [finding.state for finding in findings] == ["ok"] * 4
    assert "3.0 x autograd: used" in findings[0].text
    assert [finding.numbers["dtype"] for finding in findings] == ["float32", "bfloat16"] * 2
    json.dumps(page.as_json([Section("GPU 0", findings)]))


@pytest.mark.parametrize("hostile", [recorders.Zeros, recorders.RefusesToRecord])
def test_graphs_that_are_wrong_are_a_note(hostile):
    """They are not used, so nothing that is computed here is wrong."""
    findings = graphs(hostile(), 3.0)
    assert [finding.state for finding in findings] == ["note"] * 4
    assert "graphs are wrong here" in findings[0].text
    assert math.isinf(findings[0].numbers["error"])


def test_a_device_that_dies_is_a_failure():
    findings = graphs(recorders.NeverSettles(), 3.0)
    assert {finding.state for finding in findings} == {"failed"}
    assert "does not go on" in findings[0].text


def test_each_device_has_a_section(monkeypatch):
    about = SimpleNamespace(name="Card", major=9, minor=0)
    for name, answer in {
        "is_available": True,
        "device_count": 2,
        "get_device_properties": about,
        "mem_get_info": (2**30, 2**34),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    for module, name in ((machine, "bfloat16"), (kernels, "findings"), (gpu, "graphs")):
        monkeypatch.setattr(module, name, lambda *_: iter(()))
    first, second = gpu.sections()
    assert (first.title, second.title) == ("GPU 0", "GPU 1")
    assert one(first.findings).text.startswith("Card, capability 9.0, 1.0 of 16.0 GiB free")


# services


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(services.Path, "home", lambda: tmp_path)
    return tmp_path


def test_without_a_key_it_says_that_none_is_needed(no_key):
    finding = one(services._key())
    assert finding.state == "note"
    assert "wandb login" in finding.advice


def test_a_key_in_netrc_is_found_and_not_shown(no_key):
    (no_key / ".netrc").write_text(f"machine api.wandb.ai login user password {SECRET}\n")
    finding = one(services._key())
    assert finding.state == "ok"
    assert SECRET not in str(finding)
    (no_key / ".netrc").write_text("machine\n")  # half a file hides nothing
    assert one(services._key()).state == "note"


def test_the_network_is_tried(no_key, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("WANDB_BASE_URL", f"http://user:{SECRET}@127.0.0.1:{port}")
        reached = one(services._network())
    assert (reached.state, reached.text) == ("ok", f"127.0.0.1:{port} answers")
    closed = one(services._network())
    assert closed.state == "note"
    assert "does not answer" in closed.text
    assert SECRET not in str(closed) + str(reached)


def test_a_name_server_that_does_not_answer_costs_seconds_only(monkeypatch):
    monkeypatch.setattr(services, "TIMEOUT", 0.01)
    monkeypatch.setattr(services.socket, "create_connection", lambda *_, **__: time_out())

    def time_out():
        threading.Event().wait(0.5)
        raise OSError("late")

    assert services._unreachable("host", 443) == "its name was not found in time"


def test_what_waits_offline_is_counted(tmp_path):
    for run in ("a", "b"):
        (tmp_path / run / "wandb" / "offline-run-1").mkdir(parents=True)
    finding = one(services._offline(tmp_path))
    assert finding.text.startswith("2 runs in")
    assert "pixelrnn sync" in finding.advice


def test_extras_are_read_from_what_the_package_states(monkeypatch):
    lines = [
        "torch>=2.6",
        'hydra-joblib-launcher>=1.2; extra == "joblib"',
        'no-such-package; python_version >= "3" and extra == "codecs"',
        'pytest>=99999; extra == "dev"',
    ]
    monkeypatch.setattr(services.importlib.metadata, "requires", lambda _: lines)
    joblib, codecs = services._extras()
    assert joblib.name == "extra joblib"
    assert (codecs.state, codecs.text) == ("note", "no-such-package is not installed")
    assert codecs.advice == "pip install 'pixelrnn[codecs]'"
    assert "does not fit" in services.problem(Requirement("pytest>=99999"))
    assert services.problem(Requirement("torch>=2")) is None
