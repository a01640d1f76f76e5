"""What lies around the work: W&B, the launchers of sweeps, the extras. No secret is shown."""

import importlib.metadata
import netrc
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from pixelrnn.doctor.finding import Finding, found

TIMEOUT = 2.0
"""Seconds for the connection to W&B."""

COMMANDS = ("torchrun", "srun", "sbatch", "ray")
"""What starts processes or jobs elsewhere."""

HOST = "https://api.wandb.ai"
OFFLINE = "nothing needs it: runs write CSV, and W&B offline; `wandb login` sends new runs online"


def wandb_findings(runs: Path, network: bool = True) -> Iterator[Finding]:
    """Yield whether W&B can be used: key, network, and what waits offline to be sent.

    Args:
        runs: the root of runs.
        network: whether to look if its server answers.
    """
    yield from found("W&B key", _key, OFFLINE)
    if network:
        yield from found("W&B network", _network, OFFLINE)
    yield from found("W&B offline", partial(_offline, runs), OFFLINE)


def _server() -> tuple[str, int]:
    parts = urlsplit(os.environ.get("WANDB_BASE_URL") or HOST)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return parts.hostname or "api.wandb.ai", port


def _key() -> Iterator[Finding]:
    host, _ = _server()
    source = "WANDB_API_KEY" if os.environ.get("WANDB_API_KEY") else _in_netrc(host)
    mode = os.environ.get("WANDB_MODE")
    numbers = {"present": source is not None, "source": source, "mode": mode}
    said = f"; WANDB_MODE={mode}" if mode else ""
    if source is None:
        yield Finding("W&B key", "note", f"none for {host}{said}", OFFLINE, numbers)
    else:
        text = f"there is one for {host}, in {source}{said}"
        yield Finding("W&B key", "ok", text, numbers=numbers)


def _in_netrc(host: str) -> str | None:
    """Return the file that holds a key for a host, or None."""
    named = os.environ.get("NETRC")
    files = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        try:
            if netrc.netrc(file).authenticators(host):
                return str(file)
        except (OSError, netrc.NetrcParseError):
            continue
    return None


def _network() -> Iterator[Finding]:
    host, port = _server()
    reason = _unreachable(host, port)
    numbers = {"host": host, "port": port, "reached": reason is None}
    if reason is None:
        yield Finding("W&B network", "ok", f"{host}:{port} answers", numbers=numbers)
    else:
        text = f"{host}:{port} does not answer ({reason})"
        yield Finding("W&B network", "note", text, OFFLINE, numbers)


def _unreachable(host: str, port: int) -> str | None:
    """Return why a server does not answer, or None if it does."""
    reasons: list[str | None] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=TIMEOUT).close()
            reasons.append(None)
        except OSError as error:
            reasons.append(error.strerror or str(error))

    # a name server that does not answer has no time limit of its own
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(2 * TIMEOUT)
    return reasons[0] if reasons else "its name was not found in time"


def _offline(runs: Path) -> Iterator[Finding]:
    pieces = sorted(runs.glob("*/wandb/offline-run-*"))
    folders = {piece.parent.parent for piece in pieces}
    numbers = {"runs": len(folders)}
    if folders:
        text = f"{len(folders)} runs in {runs} have written offline"
        advice = f"`pixelrnn sync paths.runs={runs}` sends what was not sent yet"
        yield Finding("W&B offline", "note", text, advice, numbers)
    else:
        yield Finding("W&B offline", "ok", f"no run in {runs} has written offline", numbers=numbers)


def extra_findings() -> Iterator[Finding]:
    """Yield which extras are installed, whole, and which launchers they bring."""
    yield from found("extras", _extras, "install pixelrnn anew")
    commands = [name for name in COMMANDS if shutil.which(name)]
    text = ", ".join(commands) if commands else f"none of {', '.join(COMMANDS)}"
    yield Finding("commands", "ok" if commands else "note", text, numbers={"found": commands})


def _extras() -> Iterator[Finding]:
    try:
        lines = importlib.metadata.requires("pixelrnn") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("extras", "note", "unknown: runs from source, not installed by pip")
        return
    for extra, requirements in by_extra(lines).items():
        if extra == "dev":  # for those who change pixelrnn
            continue
        problems = [text for one in requirements if (text := problem(one))]
        name = f"extra {extra}"
        numbers = {"installed": not problems, "problems": problems}
        if problems:
            advice = f"pip install 'pixelrnn[{extra}]'"
            yield Finding(name, "note", ", ".join(problems), advice, numbers)
        else:
            text = ", ".join(one.name for one in requirements)
            yield Finding(name, "ok", text, numbers=numbers)


def by_extra(lines: list[str]) -> dict[str, list[Requirement]]:
    """Return the requirements of each extra, from the lines that a package states."""
    extras: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, lines):
        marker = str(requirement.marker or "")
        if "extra ==" in marker:
            extra = marker.rpartition("extra ==")[2].strip(" '\"")
            extras.setdefault(extra, []).append(requirement)
    return extras


def problem(requirement: Requirement) -> str | None:
    """Return what is wrong with an installed package, or None if it is there and fits."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"{requirement.name} {version} does not fit {requirement.specifier}"
