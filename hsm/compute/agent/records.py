"""The agent's records: handed to the kernel turn by turn, made durable by a thread meanwhile."""

from __future__ import annotations

import sys
from typing import Callable, List

from hsm.compute.agent.host import Host
from hsm.wire.log import LogWriter, encode_record
from hsm.wire.messages import Message, to_record

RETRY_S = 1.0
WINDOW_S = 0.005
BUSY_WINDOW_S = 0.05
BUSY_RECORDS = 4
"""What is written within a window shares an fdatasync; the window is longer while so many do."""


class Records:
    """One incarnation's log. What cannot be written is kept, and nothing new may begin until it can."""

    def __init__(self, host: Host, log: LogWriter, wake: Callable[[], None]) -> None:
        self._host = host
        self._log = log
        self._unwritten: List[bytes] = []
        self._stuck_until = 0.0
        self._write_again_at = 0.0
        self._written = 0
        self._synced = 0
        self._window_s = WINDOW_S
        self._syncer = host.worker("sync", wake)

    def add(self, message: Message) -> None:
        """Take a record; it is written at the end of the turn."""
        self._unwritten.append(encode_record(to_record(message)))

    def flush(self) -> None:
        """Hand new records to the kernel, and see to it that they become durable."""
        if not self._unwritten or self._host.monotonic() < self._write_again_at:
            return
        try:
            self._log.write(self._unwritten)
        except OSError as error:
            self.wait_for_room(error)
            self._write_again_at = self._stuck_until
            return
        self._written += len(self._unwritten)
        self._unwritten.clear()
        self._syncer.submit_once(self._sync)

    def _sync(self) -> None:
        self._host.sleep(self._window_s)  # in a thread: the loop goes on writing meanwhile
        written = self._written  # the loop adds to it
        self._window_s = BUSY_WINDOW_S if written - self._synced >= BUSY_RECORDS else WINDOW_S
        self._synced = written
        self._log.sync()

    def wait_for_room(self, error: OSError) -> None:
        """Note that the machine lacks something for now."""
        if not self.is_stuck:
            sys.stderr.write(f"no room, trying again: {error}\n")
            sys.stderr.flush()
        self._stuck_until = self._host.monotonic() + RETRY_S

    @property
    def is_stuck(self) -> bool:
        """Whether nothing new may begin just now."""
        return self._host.monotonic() < self._stuck_until

    @property
    def due(self) -> List[float]:
        """When to try again, if at all."""
        return [self._stuck_until] if self._unwritten or self.is_stuck else []

    @property
    def is_settled(self) -> bool:
        """Whether every record is durable."""
        return not self._unwritten and self._syncer.idle

    def became_durable(self) -> bool:
        """Tell whether records have become durable since the last call."""
        return bool(self._syncer.done())

    def close(self) -> None:
        """Write and sync what is left."""
        self.flush()
        self._syncer.join()
        self._log.sync()
