"""Carrying the two logs, the host's end: bytes after an offset come in and go out, and nothing is understood.

    open    who is asked for, and what the home knows of the records -> how long each log is here
    append  bytes of a log behind an offset, durable before `have` is said
    agent   bring the agent up
    follow  from now on push what the records grow by, as `records`; `gone` when the agent has left

Both sides hold the same bytes of each log, so whatever was lost at one of them comes from the other.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from hsm.compute.agent.host import Host
from hsm.compute.agent.premises import Premises
from hsm.compute.agent.relay import Answer, Refusal, Service
from hsm.compute.agent.room import full, room_at
from hsm.compute.agent.starting import AgentLine, Heard, Post
from hsm.wire.files import Files, write_all
from hsm.wire.link import DONE, Packet

GATHER_S = 0.01
CHUNK_BYTES = 256 << 10
HEAD_BYTES = 4096
INBOX, RECORDS = "inbox", "records"
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:\[\]._-]{0,253}")
_LOG = re.compile(r"[0-9]{6,12}(?:-[0-9]{4,8})?\.log")


def head_of(files: Files, path: str, length: int) -> str:
    """Return what tells a log from every other that has its name: the digest of its beginning."""
    return hashlib.sha256(files.read(path, 0, min(length, HEAD_BYTES))).hexdigest()


class Carrying(Service):
    """The logs between a manager and the agent of one source of one sweep."""

    def __init__(
        self, host: Host, root: str, make_line: Callable[[Host, Post], AgentLine] = AgentLine
    ) -> None:
        self._host = host
        self._files = host.files
        self._make_line = make_line
        self._premises = Premises(host.files, root)
        self._home = ""
        self._line: Optional[AgentLine] = None
        self._followed: Optional[Dict[str, int]] = None
        self._look_at: Optional[float] = None

    def answers(self) -> Dict[str, Answer]:
        """Return who answers which kind of packet."""
        return {"open": self._open, "append": self._append, "agent": self._agent, "follow": self._follow}

    # What is asked

    def _open(self, packet: Packet) -> Iterator[Packet]:
        source = packet.fields["source"]
        if not _SOURCE.fullmatch(source):
            raise Refusal(f"no source is called {source!a:.100}", is_final=True)
        self._premises.settle()
        place = self._premises.sweep(packet.fields["sweep"])
        self._home = os.path.join(place, ".hsm", "agents", source)
        logs = os.path.join(place, "logs", "sources")
        for directory in (self._path(INBOX), self._path(RECORDS), logs):
            self._files.make_directories(directory)
        for name in ("work", "checkpoints"):
            self._files.make_directories(os.path.join(place, ".hsm", name))
        post = Post(place, self._home, os.path.join(logs, f"{source}.log"))
        self._line = self._make_line(self._host, post)
        self._compare(packet.fields["records"])
        yield Packet(
            DONE,
            0,
            {
                INBOX: self._lengths(INBOX),
                RECORDS: self._lengths(RECORDS),
                "agent": self._line.opened() is not None,
                "cpus": self._host.cpus(),
            },
        )

    def _compare(self, known: "Dict[str, Tuple[int, str]]") -> None:
        """Make sure that the records here are those which the home has seen the beginnings of."""
        for name, (length, head) in known.items():
            path = self._path(RECORDS, name)
            is_there = self._files.is_file(path) and self._files.length(path) >= min(length, HEAD_BYTES)
            if is_there and head_of(self._files, path, length) != head:
                raise Refusal(f"{path} is not the log that was there before", is_final=True)

    def _append(self, packet: Packet) -> Iterator[Packet]:
        part, name, offset = packet.fields["part"], packet.fields["log"], packet.fields["offset"]
        path = self._path(part, name)
        lock = self._files.lock(os.path.join(self._home, "carrying.lock"))
        try:
            length = self._write(path, offset, packet.body)
        finally:
            self._files.close(lock)
        if self._line is not None:
            self._line.ring()
        yield Packet("have", 0, {"part": part, "log": name, "length": length})
        yield Packet(DONE)

    def _write(self, path: str, offset: int, data: bytes) -> int:
        """Append what is lacking of these bytes, durably, and return how long the log is then."""
        is_new = not self._files.is_file(path)
        descriptor = self._files.create(path) if is_new else self._files.open_append(path)
        try:
            length = self._files.size(descriptor)
            if offset > length:
                raise Refusal(f"{path} has {length} bytes, and what comes begins at {offset}")
            there = self._files.read(path, offset, len(data))
            if there != data[: len(there)]:
                raise Refusal(f"{path} holds something else than what is sent", is_final=True)
            rest = data[len(there) :]
            try:
                write_all(self._files, descriptor, rest)
                self._files.datasync(descriptor)
            except OSError as error:
                self._files.truncate(descriptor, length)
                raise OSError(error.errno, error.strerror, path) from error
        finally:
            self._files.close(descriptor)
        if is_new:
            self._files.sync_directory(os.path.dirname(path))
        return length + len(rest)

    def _agent(self, packet: Packet) -> Iterator[Packet]:
        if self._line is None:
            raise Refusal("no sweep was opened")
        before = self._line.opened()
        try:
            opened = self._line.bring_up()
        except Refusal as refusal:
            if room_at(self._files, self._home).is_full:
                raise full(self._home) from refusal
            raise
        self._look_at = 0.0
        yield Packet(DONE, 0, {**opened._asdict(), "found": opened == before})

    def _follow(self, packet: Packet) -> None:
        """Push what the records have behind these offsets, and all that comes."""
        for name in packet.fields["records"]:
            self._path(RECORDS, name)  # it is a name
        self._followed = dict(packet.fields["records"])
        self._look_at = 0.0

    # What is pushed

    def descriptors(self) -> "List[int]":
        """Return the agent's bell."""
        bell = self._line.bell if self._line is not None else None
        return [bell.fileno()] if bell is not None else []

    def due_s(self) -> Optional[float]:
        """Return when the records are to be looked at."""
        return None if self._look_at is None else max(0.0, self._look_at - self._host.monotonic())

    def look(self) -> None:
        """Hear the bell, and push what the records have grown by."""
        heard = self._line.heard() if self._line is not None else Heard.NOTHING
        if heard is Heard.BELL and self._look_at is None:
            self._look_at = self._host.monotonic() + GATHER_S
        if heard is Heard.END and self._line is not None:
            self._line.hang_up()
            self._look_at = 0.0
        if (
            self._followed is not None
            and self._look_at is not None
            and self._host.monotonic() >= self._look_at
        ):
            self._look_at = 0.0 if self._push(self._followed) else None
        if heard is Heard.END:
            self.send(Packet("gone", 0, {"words": self._line.last_words() if self._line is not None else ""}))

    def _push(self, followed: "Dict[str, int]") -> bool:
        """Push what has grown, no log before all of the one ahead of it; tell whether there is more.

        Who reads at home goes on to the next log where there is one, and never back.
        """
        for name in self._files.list(self._path(RECORDS)):
            offset, path = followed.get(name, 0), self._path(RECORDS, name)
            data = self._files.read(path, offset, CHUNK_BYTES)
            if data:
                self._sync(path)
                followed[name] = offset + len(data)
                self.send(Packet("records", 0, {"log": name, "offset": offset}, data))
            if len(data) == CHUNK_BYTES:
                return True
        return False

    def _sync(self, path: str) -> None:
        """Make a log durable as it is: nobody may count on a record that a power cut here can take back."""
        descriptor = self._files.open_append(path)
        try:
            self._files.datasync(descriptor)
        finally:
            self._files.close(descriptor)

    # Names

    def _path(self, part: str, name: str = "") -> str:
        """Return the path of a log, or of the directory of a part.

        Raises:
            Refusal: it is none of ours.
        """
        if not self._home or part not in (INBOX, RECORDS) or not (_LOG.fullmatch(name) or not name):
            raise Refusal(f"there is no log {part}/{name}", is_final=True)
        return os.path.join(self._home, part, name) if name else os.path.join(self._home, part)

    def _lengths(self, part: str) -> "Dict[str, int]":
        directory = self._path(part)
        return {
            name: self._files.length(os.path.join(directory, name))
            for name in self._files.list(directory)
            if _LOG.fullmatch(name)
        }
