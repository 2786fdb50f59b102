"""What counts of an inbox: the same for the agent that hears it live and for one that comes later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsm.wire.files import Files
from hsm.wire.inbox import Inbox, Said, next_session
from hsm.wire.log import LogWriter, encode_record
from hsm.wire.messages import Cancel, Hello, Run, to_record

FILES = Files()


class Session:
    """A manager's session: it measures what is there, and greets when told to."""

    def __init__(self, home: Path, epoch: int) -> None:
        self.epoch = epoch
        name, self.prev = next_session(FILES, str(home), epoch)
        self.name = name
        self._log = LogWriter.create(FILES, str(home / name), {"t": "inbox", "epoch": epoch})

    def say(self, *messages: Any) -> None:
        self._log.write([encode_record(to_record(message)) for message in messages])

    def greet(self) -> None:
        self.say(Hello(self.epoch, "s", 1, "/", {}, [], 1.0, {}, self.prev))


def run(token: str) -> Run:
    return Run(token, 1, 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0)


def runs(said: list[Said]) -> list[str]:
    return [one.record["token"] for one in said if one.record["t"] == "run"]


def recalled(said: list[Said]) -> list[str]:
    return [token for one in said if one.record["t"] == "recall" for token in one.record["tokens"]]


def test_sessions_have_logs_of_their_own(tmp_path: Path) -> None:
    """One log each, in order, also when a manager comes again; each knows how long the older ones are."""
    names = [Session(tmp_path, epoch).name for epoch in (1, 1, 2, 10, 2)]
    numbers = "000001-0001 000001-0002 000002-0001 000010-0001 000002-0002"
    assert [name[:-4] for name in names] == numbers.split()
    prev = next_session(FILES, str(tmp_path), 11)[1]
    assert prev == {name: (tmp_path / name).stat().st_size for name in names}


def test_what_was_said_in_time_is_heard_once_in_order(tmp_path: Path) -> None:
    """Session by session, however often one looks."""
    inbox, heard = Inbox(FILES, str(tmp_path)), []
    for epoch in (1, 2, 3):
        session = Session(tmp_path, epoch)
        session.greet()
        session.say(run(f"{epoch}a"), run(f"{epoch}b"))
        heard += inbox.read()
    assert runs(heard) == ["1a", "1b", "2a", "2b", "3a", "3b"]
    assert inbox.read() == []
    assert runs(Inbox(FILES, str(tmp_path)).read()) == runs(heard)


def test_a_superseded_manager_is_not_heard(tmp_path: Path) -> None:
    """What it says when a newer one has come is ignored, live and afterwards, also in a log begun late."""
    old = Session(tmp_path, 1)
    old.greet()
    old.say(run("in time"))
    inbox = Inbox(FILES, str(tmp_path))
    assert runs(inbox.read()) == ["in time"]
    new = Session(tmp_path, 2)
    new.greet()
    old.say(run("late"), Cancel(["in time"]))
    late = Session(tmp_path, 1)
    late.greet()
    late.say(run("later"))
    live = inbox.read()
    assert [one.record["t"] for one in live] == ["hello"]
    everything = Inbox(FILES, str(tmp_path)).read()
    assert runs(everything) == ["in time"]
    assert [one.epoch for one in everything if one.record["t"] == "hello"] == [1, 2]


def test_what_was_heard_before_its_limit_was_known_is_taken_back(tmp_path: Path) -> None:
    """A superseded manager spoke between the measuring and the greeting of its successor, and was heard."""
    old = Session(tmp_path, 1)
    old.greet()
    old.say(run("in time"))
    inbox = Inbox(FILES, str(tmp_path))
    new = Session(tmp_path, 2)
    old.say(run("just late"), run("just late too"))
    assert runs(inbox.read()) == ["in time", "just late", "just late too"]
    new.greet()
    said = inbox.read()
    assert recalled(said) == ["just late", "just late too"]
    assert recalled(inbox.read()) == [], "once"
    new.say(run("new"))
    old.say(run("much later"))
    assert runs(inbox.read()) == ["new"]
    assert runs(Inbox(FILES, str(tmp_path)).read()) == ["in time", "new"]


def test_the_tightest_limit_holds(tmp_path: Path) -> None:
    """What the second manager ignored of the first one, the third one ignores too, whatever it measures."""
    first = Session(tmp_path, 1)
    first.greet()
    second = Session(tmp_path, 2)
    second.greet()
    first.say(run("zombie"))
    third = Session(tmp_path, 3)
    third.greet()
    assert runs(Inbox(FILES, str(tmp_path)).read()) == []


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_half_a_group_at_the_limit_never_counts(tmp_path: Path, cut: int) -> None:
    """The old manager was in the middle of a write when it was measured, and finished it later."""
    old = Session(tmp_path, 1)
    old.greet()
    old.say(run("whole"))
    before = (tmp_path / old.name).read_bytes()
    old.say(run("half"))
    whole = (tmp_path / old.name).read_bytes()
    (tmp_path / old.name).write_bytes(whole[: len(before) + cut])
    new = Session(tmp_path, 2)
    new.greet()
    inbox = Inbox(FILES, str(tmp_path))
    assert runs(inbox.read()) == ["whole"]
    (tmp_path / old.name).write_bytes(whole)
    assert inbox.read() == []
    assert runs(Inbox(FILES, str(tmp_path)).read()) == ["whole"]
