"""The agent's records and its threads: how long what is written waits to be durable."""

from __future__ import annotations

import errno
import signal
import threading
from pathlib import Path

import pytest

from hsm.compute.agent.host import Host
from hsm.compute.agent.records import BUSY_RECORDS, BUSY_WINDOW_S, CALM_S, RETRY_S, WINDOW_S, Records
from hsm.compute.agent.room import RESERVE_BYTES, Reserve
from hsm.compute.agent.worker import Worker
from hsm.wire.files import Files
from hsm.wire.log import LogReader, LogWriter
from hsm.wire.messages import Lost
from tests.unit.wire.faulty import FaultyFiles


class WaitingHost(Host):
    """A machine whose sleeps are noted, and last until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.may_wake = threading.Semaphore(0)

    def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        assert self.may_wake.acquire(timeout=10)


def test_a_busy_agent_gathers_more_records_for_each_sync(tmp_path: Path) -> None:
    """The first records are durable soon; while many share a sync the next one waits longer, then no more."""
    host, woken = WaitingHost(), threading.Semaphore(0)
    log = LogWriter.create(Files(), str(tmp_path / "records.log"), {"t": "opened"})
    records = Records(host, lambda: log, woken.release, reserve(tmp_path))
    for count in (BUSY_RECORDS, 1, 1):
        for _ in range(count):
            records.add(Lost("t", "gone", 1.0))
        records.flush()
        host.may_wake.release()
        assert woken.acquire(timeout=10)
        assert records.became_durable()
    records.close()
    assert host.slept == [WINDOW_S, BUSY_WINDOW_S, WINDOW_S]


def reserve(folder: Path, files: Files | None = None) -> Reserve:
    return Reserve(files or Files(), str(folder / "reserve"))


def records_of(path: Path) -> list[str]:
    return [record["t"] for record in LogReader(Files(), str(path)).records()]


def test_records_go_on_in_another_log_after_a_failed_sync(tmp_path: Path) -> None:
    """What is not known to be durable is told again there, and the failed file is never synced again."""
    files, woken, logs = FaultyFiles(), threading.Semaphore(0), iter("123")

    def begin() -> LogWriter:
        return LogWriter.create(files, str(tmp_path / f"{next(logs)}.log"), {"t": "opened"})

    records = Records(Host(), begin, woken.release, reserve(tmp_path))
    for number in range(3):
        files.sync_errors = [errno.EIO] if number == 1 else []
        records.add(Lost(str(number), "gone", 1.0))
        records.flush()
        assert woken.acquire(timeout=10)
        assert records.became_durable()
        assert records.is_settled
    records.close()
    assert [records_of(tmp_path / f"{n}.log") for n in "12"] == [
        ["opened", "lost", "lost"],
        ["opened", "lost", "lost"],
    ]
    failed = files.syncs.index("2.log")
    assert "1.log" not in files.syncs[failed:]


def test_records_go_on_in_another_log_after_a_failed_write(tmp_path: Path) -> None:
    """The record that was being written is told in the next log, and nothing twice."""
    files, woken, logs = FaultyFiles(), threading.Semaphore(0), iter("12")
    host = Host()

    def begin() -> LogWriter:
        return LogWriter.create(files, str(tmp_path / f"{next(logs)}.log"), {"t": "opened"})

    def fail(call: str) -> None:
        if call == "write":
            files.before = lambda _: None
            raise OSError(errno.EIO, "Input/output error")

    records = Records(host, begin, woken.release, reserve(tmp_path))
    files.before = fail
    records.add(Lost("1", "gone", 1.0))
    records.flush()
    assert records.is_stuck
    later = records.due[0] + 1.0
    host.monotonic = lambda: later  # type: ignore[method-assign]
    records.flush()
    records.close()
    assert [records_of(tmp_path / f"{number}.log") for number in (1, 2)] == [
        ["opened"],
        ["opened", "lost", "hindered"],
    ]


def test_what_a_machine_lacks_is_told_once_and_once_when_it_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often it is tried in between: to the manager as a record, and into the agent's own log."""
    host, log = Host(), LogWriter.create(FaultyFiles(), str(tmp_path / "1.log"), {"t": "opened"})
    records, now = Records(host, lambda: log, lambda: None, reserve(tmp_path)), 100.0
    host.monotonic = lambda: now  # type: ignore[method-assign]
    for is_lacking in (True, True, True, False, False, True):
        records.begin_turn()
        assert not records.is_stuck, "it is tried again"
        if is_lacking:
            records.wait_for_room(OSError(errno.EAGAIN, "Resource temporarily unavailable"))
        records.flush()
        assert bool(records.due) is is_lacking
        now += 2.0
    records.close()
    told = [record.get("reason") for record in LogReader(Files(), str(tmp_path / "1.log")).records()][1:]
    assert told == ["Resource temporarily unavailable", "", "Resource temporarily unavailable"]
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_full_disk_is_told_in_the_room_that_was_held_back_for_it(tmp_path: Path) -> None:
    """Nothing begins until that room can be held again; then one more turn tries whether something can."""
    host, files = Host(), FaultyFiles()
    held = reserve(tmp_path, files)
    log = LogWriter.create(files, str(tmp_path / "1.log"), {"t": "opened"})
    records, now = Records(host, lambda: log, lambda: None, held), 100.0
    host.files, host.monotonic = files, lambda: now  # type: ignore[method-assign]
    assert records.may_begin
    assert not records.was_full_since(0.0)
    files.room = 0

    def found(path: str) -> None:
        (tmp_path / "reserve").unlink()
        files.room = RESERVE_BYTES - 1

    files.unlink = found  # type: ignore[method-assign]
    records.add(Lost("1", "gone", 1.0))
    records.flush()
    assert records_of(tmp_path / "1.log") == ["opened", "lost", "hindered"]
    for _ in range(2):
        now += RETRY_S
        records.begin_turn()
        records.flush()
        assert (records.may_begin, records.was_full_since(now)) == (False, True)
        assert records.due == [now + RETRY_S]
    files.room, now = None, now + RETRY_S
    records.begin_turn()
    records.flush()
    assert records.may_begin
    assert records.due == [now - RETRY_S + RETRY_S]
    assert "hindered" not in records_of(tmp_path / "1.log")[3:], "it is not said before it was tried"
    records.begin_turn()
    records.flush()
    assert records_of(tmp_path / "1.log")[3:] == ["hindered"]
    assert records.was_full_since(now)
    assert not records.was_full_since(now + 0.1)
    records.close()
    assert not (tmp_path / "reserve").exists()


def test_who_lacks_something_again_and_again_is_asked_ever_later(tmp_path: Path) -> None:
    """A disk that is full again as soon as something has begun is not tried every second for ever."""
    host, log = Host(), LogWriter.create(Files(), str(tmp_path / "1.log"), {"t": "opened"})
    records, now = Records(host, lambda: log, lambda: None, reserve(tmp_path)), 100.0
    host.monotonic = lambda: now  # type: ignore[method-assign]
    pauses = []
    for calm_s in (0.0, 0.0, 0.0, CALM_S):
        records.begin_turn()
        records.wait_for_room(OSError(errno.EAGAIN, "Resource temporarily unavailable"))
        records.flush()
        pauses.append(records.due[0] - now)
        now = records.due[0]
        records.begin_turn()
        records.flush()
        now += calm_s
    records.wait_for_room(OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    pauses.append(records.due[0] - now)
    records.close()
    assert pauses == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S, RETRY_S]


def test_an_agent_whose_second_log_fails_too_ends(tmp_path: Path) -> None:
    """It tells nothing any more that it cannot make durable; what it left running is found by the next."""
    files, woken, logs = FaultyFiles(), threading.Semaphore(0), iter("12")
    records = Records(
        Host(),
        lambda: LogWriter.create(files, str(tmp_path / f"{next(logs)}.log"), {"t": "opened"}),
        woken.release,
        reserve(tmp_path),
    )
    files.sync_error = errno.EIO
    records.add(Lost("1", "gone", 1.0))
    records.flush()
    assert woken.acquire(timeout=10)
    with pytest.raises(OSError, match="Input/output"):
        records.became_durable()


def test_signals_are_left_to_the_loop() -> None:
    """A child that ends wakes the loop's thread and no other."""
    woken = threading.Semaphore(0)
    worker = Worker("test", woken.release)
    worker.submit(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert woken.acquire(timeout=10)
    (blocked,) = worker.done()
    worker.join()
    assert {signal.SIGCHLD, signal.SIGTERM} <= blocked
