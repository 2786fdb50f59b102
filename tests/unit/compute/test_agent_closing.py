"""The end of an attempt on a machine that has no room for its report: it waits, and nothing of it is lost."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.compute.agent import attempt, slots
from hsm.compute.agent.attempt import Running
from hsm.compute.agent.bell import Bell
from hsm.compute.agent.closing import Closing
from hsm.compute.agent.host import Exited, Host
from hsm.compute.agent.place import NoRoom
from hsm.compute.agent.pool import Pool
from hsm.compute.agent.records import RETRY_S, Records
from hsm.compute.agent.room import Reserve
from hsm.compute.agent.slots import Slots
from hsm.wire.hashing import sha256_hex
from hsm.wire.log import LogReader, LogWriter
from hsm.wire.messages import Ended, Hello, Run
from tests.unit.wire.faulty import FaultyFiles

HELLO = Hello(
    epoch=1, sweep_id="demo", slots=1, project="/", variables={}, gpus=[], grace_s=1.0, program={"a": 1}
)


class StillHost(Host):
    """A machine whose clock stands until it is moved, and whose files can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = self.files = FaultyFiles()
        self.clock = 100.0
        self.exits: list[Exited] = []

    def monotonic(self) -> float:
        return self.clock

    def spawn(self, argv: list[str], directory: str, variables: dict[bytes, bytes]) -> int:
        for name, content in (("result", b"42"), ("provenance.json", b'{"mine": true}')):
            (Path(directory) / name).write_bytes(content)
        return 4711

    def reap(self) -> Iterator[Exited]:
        exits, self.exits = self.exits, []
        return iter(exits)

    def strays(self) -> list[int]:
        return []


def run_in(directory: str) -> Run:
    return Run("t" * 32, 1, 1, directory, ["x"], "{}", 0, "c", "k", None, None, 0)


def ended_of(path: Path) -> list[dict[str, object]]:
    return [record for record in LogReader(FaultyFiles(), str(path)).records() if record["t"] == "ended"]


@pytest.mark.parametrize("inline_bytes", [1 << 20, 0], ids=["in the loop", "in the thread"])
@pytest.mark.parametrize("room", [0, 200])
def test_an_attempt_whose_report_finds_no_room_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline_bytes: int, room: int
) -> None:
    """Its slot is free, nothing new begins, and its end is recorded when there is room: whole, and once."""
    monkeypatch.setattr(slots, "INLINE_BYTES", inline_bytes)
    host, log = StillHost(), tmp_path / "000001.log"
    writer = LogWriter.create(FaultyFiles(), str(log), {"t": "opened"})
    held = Reserve(host.files, str(tmp_path / "reserve"))
    records = Records(host, lambda: writer, lambda: None, held)
    woken = threading.Semaphore(0)
    here = Slots(host, str(tmp_path), records, woken.release, Pool(host, str(tmp_path), Bell(None)))
    assert not here.launch(HELLO, [run_in("work")])
    host.exits = [Exited(4711, 0, 0.0, 0.0, 0)]
    host.faults.room = room

    def turn() -> None:
        records.begin_turn()
        here.reap()
        here.finish()
        while not here._hasher.idle:
            assert woken.acquire(timeout=10)
            here.finish()
        records.flush()

    for _ in range(3):
        turn()
        assert (here.taken, here.is_idle, records.is_stuck) == (0, False, True)
        host.clock += RETRY_S
        assert records.due == [host.clock], "it is tried again by itself"
    host.faults.room = None
    turn()
    assert here.is_idle
    turn()  # in which something may begin again
    assert (records.may_begin, records.due) == (True, [])
    records.close()
    (ended,) = ended_of(log)
    report = (tmp_path / "work" / "provenance.json").read_bytes()
    assert (ended["report"], ended["cause"]) == (sha256_hex(report), None)
    said = json.loads(report)
    assert said["program"] == {"mine": True}
    assert [entry["path"] for entry in said["artifacts"]] == ["params.yaml", "result"]


class Unreadable(FaultyFiles):
    """Files of which one call fails with an errno."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code

    def read(self, path: str, offset: int, limit: int = -1) -> bytes:
        raise OSError(self.code, os.strerror(self.code), path)

    def chunks(self, path: str, offset: int = 0, *, protect: bool = False) -> None:  # type: ignore[override]
        raise OSError(self.code, os.strerror(self.code), path)


def test_what_is_no_matter_of_room_fails_the_attempt_by_name(tmp_path: Path) -> None:
    """A result that cannot be read is the program's; a descriptor that is missing just now is not."""
    (tmp_path / "result").write_bytes(b"42")
    ended = Ended("t" * 32, 0, None, 1.0, 2.0, 1.0, 0.0, 0.0, 0, None, 0, 0, None, "")
    host = StillHost()
    running = Running(run_in("work"), str(tmp_path), 1, 1.0, 1.0, [], HELLO)
    host.files = Unreadable(errno.EACCES)
    closing = Closing(host, running, ended)
    assert closing.look() == 2
    failed = closing.close()
    assert (failed.cause, failed.reason) == ("application", "result cannot be recorded: Permission denied")
    host.files = Unreadable(errno.EMFILE)
    closing = Closing(host, running, ended)
    assert closing.look() == 2
    with pytest.raises(NoRoom):
        closing.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "result"]


def test_an_attempt_that_is_taken_back_leaves_its_empty_directory(tmp_path: Path) -> None:
    """Should the agent die before its loss is written down, nobody runs it again unseen (seed 1629)."""
    work = tmp_path / "work"
    (work / "results" / "deep").mkdir(parents=True)
    (work / "results" / "data").write_text("half")
    (work / "link").symlink_to(tmp_path)
    (work / "stdout.log").write_text("working")
    host = StillHost()
    running = Running(run_in("work"), str(work), 4711, 0.0, 0.0, [], HELLO)
    ended = attempt.exit_record(host, running, Exited(4711, 256, 0.0, 0.0, 0), attempt.NO_VERDICT)
    lost = Closing(host, running, ended).vanish("no room")
    assert (lost.token, lost.charged) == ("t" * 32, False)
    assert list(work.iterdir()) == []
    assert tmp_path.is_dir()
