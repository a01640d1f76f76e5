"""Finds out at once when one of several processes is lost, and ends the others.

All processes hold a connection to the first. The kernel closes the connections of a process that
is killed, and keep-alive packets find a machine that is gone; so no heartbeat is needed. A process
that waits in a collective for one that is lost may wait for ever (NCCL does): if the main thread
does not come out by itself, this thread ends the process.
"""

import contextlib
import json
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import distributed

from pixelrnn.ranks import Place

GRACE = 12.0
"""Seconds in which the main thread may end by itself after a loss."""

_CONNECTING = 120.0
_ADDRESS = "pixelrnn/watchdog"


class Loss(NamedTuple):
    """Which process was lost.

    Attributes:
        text: one line for the user.
        told: whether this process is the one that tells it.
    """

    text: str
    told: bool


class Watchdog:
    """One per process; see the head of this file.

    Args:
        place: of this process.
        store: of the group: the first process leaves its address there.
        address: of the first process's machine.
    """

    def __init__(self, place: Place, store: distributed.Store, address: str) -> None:
        self.place = place
        self.saved: Callable[[], str] = lambda: "the same command begins anew"
        self._lost = threading.Event()
        self._loss: Loss | None = None
        self._ended = threading.Event()
        self._connections: dict[int, socket.socket] = {}
        self._buffers: dict[int, bytes] = {}
        if place.rank == 0:
            self._listen(store, "127.0.0.1" if place.machines == 1 else "")
        else:
            self._connect(store, "127.0.0.1" if place.machines == 1 else address)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def loss(self, wait: float = 0) -> Loss | None:
        """What was lost, if anything.

        Args:
            wait: seconds to wait for it.
        """
        self._lost.wait(wait)
        return self._loss

    def tell(self, reason: str) -> None:
        """Tell the others that this process ends, and why: one line."""
        self._send({"failed": reason, "rank": self.place.rank, "said": True})

    def close(self) -> None:
        """Stop watching; the others do not miss this process from now on."""
        self._ended.set()
        self._send({"left": True})
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        self._thread.join(timeout=1)
        for connection in self._connections.values():
            connection.close()

    def _listen(self, store: distributed.Store, address: str) -> None:
        token = secrets.token_hex(16)
        with socket.create_server((address, 0)) as server:
            server.settimeout(_CONNECTING)
            store.set(_ADDRESS, f"{server.getsockname()[1]} {token}")
            while len(self._connections) < self.place.size - 1:
                connection, _ = server.accept()
                connection.settimeout(10)
                with contextlib.suppress(OSError, ValueError):
                    given, rank = connection.makefile("r").readline().split()
                    if secrets.compare_digest(given, token):
                        self._keep(int(rank), connection)

    def _connect(self, store: distributed.Store, address: str) -> None:
        port, token = store.get(_ADDRESS).decode().split()
        connection = socket.create_connection((address, int(port)), timeout=_CONNECTING)
        connection.sendall(f"{token} {self.place.rank}\n".encode())
        self._keep(0, connection)

    def _keep(self, rank: int, connection: socket.socket) -> None:
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._connections[rank] = connection
        self._buffers[rank] = b""

    def _send(self, message: dict[str, Any], but: int | None = None) -> None:
        for rank, connection in list(self._connections.items()):
            if rank != but:
                with contextlib.suppress(OSError):
                    connection.sendall(json.dumps(message).encode() + b"\n")

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for rank, connection in self._connections.items():
                selector.register(connection, selectors.EVENT_READ, rank)
            while selector.get_map() and not self._ended.is_set():
                for key, _ in selector.select(timeout=0.5):
                    if not self._read(key.data):
                        selector.unregister(key.fileobj)

    def _read(self, rank: int) -> bool:
        """Take what a process says; returns whether it may say more."""
        try:
            content = self._connections[rank].recv(65536)
        except OSError:
            content = b""
        if not content:
            self._lose(rank, "was killed, or its machine is gone", said=False, relay=rank)
            return False
        *lines, self._buffers[rank] = (self._buffers[rank] + content).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "left" in message:
                return False
            self._lose(message["rank"], message["failed"], message["said"], relay=rank)
        return True

    def _lose(self, rank: int, reason: str, said: bool, relay: int) -> None:
        """Note a loss, pass it on, and end this process if its main thread does not.

        Args:
            rank: of the process that is lost.
            reason: what became of it.
            said: it said so itself; else it was killed.
            relay: of the process that the news came from.
        """
        if self._lost.is_set() or self._ended.is_set():
            return
        text = f"process {rank} of {self.place.size}: {reason}; {self.saved()}"
        tells = 0 if rank != 0 else 1 if not said else None
        self._loss = Loss(text, told=self.place.rank == tells)
        if self.place.rank == 0:  # before the main thread knows, which says goodbye then
            self._send({"failed": reason, "rank": rank, "said": said}, but=relay)
        self._lost.set()
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            if self._ended.wait(0.2):
                return
        if self._loss.told:
            print(f"pixelrnn: {text}", file=sys.stderr, flush=True)
        os._exit(1)
