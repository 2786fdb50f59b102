"""The agent's records and its threads: how long what is written waits to be durable."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from hsm.compute.agent.host import Host
from hsm.compute.agent.records import BUSY_RECORDS, BUSY_WINDOW_S, WINDOW_S, Records
from hsm.compute.agent.worker import Worker
from hsm.wire.files import Files
from hsm.wire.log import LogWriter
from hsm.wire.messages import Lost


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
    records = Records(host, log, woken.release)
    for count in (BUSY_RECORDS, 1, 1):
        for _ in range(count):
            records.add(Lost("t", "gone", 1.0))
        records.flush()
        host.may_wake.release()
        assert woken.acquire(timeout=10)
        assert records.became_durable()
    records.close()
    assert host.slept == [WINDOW_S, BUSY_WINDOW_S, WINDOW_S]


def test_signals_are_left_to_the_loop() -> None:
    """A child that ends wakes the loop's thread and no other."""
    woken = threading.Semaphore(0)
    worker = Worker("test", woken.release)
    worker.submit(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert woken.acquire(timeout=10)
    (blocked,) = worker.done()
    worker.join()
    assert {signal.SIGCHLD, signal.SIGTERM} <= blocked
