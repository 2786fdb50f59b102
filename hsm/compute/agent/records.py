"""The agent's records: handed to the kernel turn by turn, made durable by a thread meanwhile."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Callable, List

from hsm.compute.agent.host import Host
from hsm.compute.agent.room import DISK_FULL, Reserve, full, told
from hsm.wire.log import NO_ROOM, LogWriter, encode_record
from hsm.wire.messages import Hindered, Message, to_record

RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
CALM_S = 60.0
"""Who lacks something again sooner than that waits twice as long as the last time."""
WINDOW_S = 0.005
BUSY_WINDOW_S = 0.05
BUSY_RECORDS = 4
"""What is written within a window shares an fdatasync; the window is longer while so many do."""


class Records:
    """What an agent tells. What cannot be written is kept, and nothing new may begin until it can.

    That the machine lacks something is told once, and once when it does no more. `begin` makes a log. When
    one has failed, what is not known to be durable is told again in the next one; who has read it already
    knows it. `is_stuck` says that nothing is tried again in this turn.

    On a full disk the `reserve` is given up, so that what has ended, and that the disk is full, can be told.
    There is room again when it can be held again.
    """

    def __init__(
        self, host: Host, begin: Callable[[], LogWriter], wake: Callable[[], None], reserve: Reserve
    ) -> None:
        self._host = host
        self._begin = begin
        self._reserve = reserve
        self._unwritten: List[bytes] = []
        self.is_stuck = False
        self._is_hindered = False
        self._stuck_until = 0.0
        self._retry_s = RETRY_S
        self._relieved_at = self._full_until = -math.inf
        self._log = begin()
        if not reserve.hold():
            self.wait_for_room(full(reserve.path))
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
        self._write()
        if not self._is_hindered or self.is_stuck:
            return
        now = self._host.monotonic()
        if self._reserve.is_held:
            self._is_hindered, self._relieved_at = False, now
            _say("it is there again: going on")
            self.add(Hindered("", self._host.now()))
            self._write()
        elif self._reserve.hold():  # it is seen in the next turn whether something can begin
            self._full_until = now
        else:
            self._wait()

    def _write(self) -> None:
        if not self._unwritten or self._host.monotonic() < self._write_again_at:
            return
        try:
            if self._log.is_broken:
                self._renew()
            self._log.write(self._unwritten)
        except OSError as error:
            if error.errno not in NO_ROOM and not self._log.is_broken:
                raise  # a second log failed
            gives_up = error.errno in DISK_FULL and self._reserve.is_held
            self.wait_for_room(error)
            if gives_up:
                self._write()
            else:
                self._write_again_at = self._stuck_until
            return
        self._written += len(self._unwritten)
        self._unwritten.clear()
        self._syncer.submit_once(self._sync)

    def _renew(self) -> None:
        """Go on in another log."""
        failed, log = self._log, self._begin()
        for group in failed.unsynced:
            log.write(group)
        log.sync()
        failed.close()
        self._log = log

    def _sync(self) -> None:
        self._host.sleep(self._window_s)  # in a thread: the loop goes on writing meanwhile
        written = self._written  # the loop adds to it
        self._window_s = BUSY_WINDOW_S if written - self._synced >= BUSY_RECORDS else WINDOW_S
        self._synced = written
        self._log.sync()

    def wait_for_room(self, error: OSError) -> None:
        """Note that the machine lacks something for now."""
        if not self._is_hindered:
            is_calm = self._host.monotonic() - self._relieved_at >= CALM_S
            self._retry_s = RETRY_S if is_calm else min(2 * self._retry_s, LONGEST_RETRY_S)
            reason = told(self._host.files, error, self._reserve.path)
            _say(f"the machine lacks something, trying again until it is there: {reason}")
            self.add(Hindered(reason, self._host.now(), error.errno or 0))
        self._is_hindered = True
        if error.errno in DISK_FULL:
            self._reserve.give_up()
        self._wait()

    def _wait(self) -> None:
        self.is_stuck = True
        self._stuck_until = self._host.monotonic() + self._retry_s

    def was_full_since(self, at: float) -> bool:
        """Tell whether the disk is known to have been full since a time by the monotonic clock."""
        return not self._reserve.is_held or self._full_until >= at

    @property
    def may_begin(self) -> bool:
        """Whether something new may begin, or it may be tried whether it can."""
        return not self.is_stuck and self._reserve.is_held

    def begin_turn(self) -> None:
        """Let what found no room be tried again, when it is time; `due` tells that time until then."""
        self.is_stuck = self._host.monotonic() < self._stuck_until

    @property
    def has_waited(self) -> bool:
        """Whether the machine has ever lacked something."""
        return self._stuck_until > 0

    @property
    def due(self) -> List[float]:
        """When to try again, if at all."""
        return [self._stuck_until] if self._unwritten or self.is_stuck or self._is_hindered else []

    @property
    def is_settled(self) -> bool:
        """Whether every record is durable."""
        return not self._unwritten and self._syncer.idle

    def became_durable(self) -> bool:
        """Tell whether records have become durable since the last call.

        Raises:
            OSError: they cannot be made so, in two logs.
        """
        try:
            return bool(self._syncer.done())
        except OSError as error:
            _say(f"the log of records failed, going on in another: {error}")
            self._renew()
            return True

    def close(self) -> None:
        """Write and sync what is left."""
        self.flush()
        self._syncer.join()
        if self._log.is_broken:
            self._renew()
        self._log.sync()
        self._reserve.give_up()


def _say(text: str) -> None:
    """Write a line to the agent's own log, which may be on the disk that is full."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
