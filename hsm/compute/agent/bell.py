"""The bell: what the agent's loop waits on. Children, threads and managers ring it; it rings for managers."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from typing import Callable, List, Optional


class Bell:
    """A selector over the signal pipe, the listening socket and the managers' connections.

    `rang` is set when a manager asked to look at the inbox, and stays so until it is cleared.
    """

    def __init__(self, server: Optional[socket.socket]) -> None:
        self.rang = True
        self._server = server
        self._managers: List[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        if server is not None:
            self._selector.register(server, selectors.EVENT_READ)

    def hear_signals(self, stop: Callable[[], None]) -> None:
        """Let the end of a child wake the loop; one to the agent itself calls `stop` before."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: stop())

    def watch(self, fd: int, *, to_write: bool = False) -> None:
        """Let what can be read from a descriptor, or written to it, wake the loop."""
        self._selector.register(fd, selectors.EVENT_WRITE if to_write else selectors.EVENT_READ)

    def unwatch(self, fd: int) -> None:
        """Let a descriptor wake the loop no more."""
        self._selector.unregister(fd)

    @property
    def is_attended(self) -> bool:
        """Whether a manager is connected."""
        return bool(self._managers)

    def wake(self) -> None:
        """Wake the loop, from any thread."""
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            return  # the pipe is full, so the loop will wake

    def wait(self, timeout_s: Optional[float]) -> None:
        """Wait until something rings, or the time is over."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._wake_read:
                _drain(self._wake_read)
            elif key.fileobj is self._server:
                self._accept()
            elif isinstance(key.fileobj, socket.socket):
                self._listen(key.fileobj)

    def ring(self) -> None:
        """Tell every manager to look at the records."""
        for manager in self._managers:
            try:
                manager.send(b"!")
            except OSError:
                continue  # it has enough to read, or it is gone and will be noticed as such

    def _accept(self) -> None:
        if self._server is not None:
            manager, _ = self._server.accept()
            manager.setblocking(False)
            self._managers.append(manager)
            self._selector.register(manager, selectors.EVENT_READ)

    def _listen(self, manager: socket.socket) -> None:
        try:
            said = manager.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""  # reset by a manager that died
        if said:
            self.rang = True
            return
        self._selector.unregister(manager)
        self._managers.remove(manager)
        manager.close()


def _drain(fd: int) -> None:
    try:
        os.read(fd, 1 << 16)  # as much as a pipe holds
    except BlockingIOError:
        return
