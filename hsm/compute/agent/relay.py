"""The relay: the hands of a manager on another machine. It answers packets on its standard input and output.

It keeps nothing and decides nothing: what lasts is in the logs of the agent, which goes on when the relay's
channel, and with it the relay, is gone. What it can do is a set of services, each of which answers some kinds
of packets; a long answer is an iterator of packets, and several of those take turns.
"""

from __future__ import annotations

import os
import selectors
from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, Optional, Sequence

from hsm.compute.agent.host import Host
from hsm.wire.link import DONE, REFUSED, BadPacket, Packet, PacketReader, encode_packet, greeting

READ_BYTES = 256 << 10

Answer = Callable[[Packet], Optional[Iterator[Packet]]]
Send = Callable[[Packet], None]


class Refusal(Exception):
    """A call that cannot be answered, in words for the user; the link goes on."""


class Service:
    """Something that a relay does. `send` is how it speaks without being asked."""

    send: Send

    def answers(self) -> Dict[str, Answer]:
        """Return who answers which kind of packet: with packets, the last of which may be of kind `done`."""
        raise NotImplementedError

    def descriptors(self) -> List[int]:
        """Return the descriptors to look at; `look` is called when one of them can be read."""
        return []

    def due_s(self) -> Optional[float]:
        """Return in how many seconds `look` wants to be called at the latest, None for never."""
        return None

    def look(self) -> None:
        """Do what is due."""


class Relay:
    """Reads packets, lets services answer, and writes what they say, until nobody listens any more."""

    def __init__(self, source: int, sink: int, services: Sequence[Service]) -> None:
        self._source = source
        self._sink = sink
        self._services = services
        self._packets = PacketReader()
        self._running: Deque["tuple[int, Iterator[Packet]]"] = deque()
        self._answers: Dict[str, Answer] = {}
        for service in services:
            service.send = self._send
            self._answers.update(service.answers())

    def run(self, word: str) -> None:
        """Greet with the manager's word, and serve until the channel closes."""
        try:
            self._write(greeting(word))
            while self._turn():
                pass
        except (BrokenPipeError, ConnectionError, BadPacket):
            return  # the manager has gone, or what comes is none of its words: either way nobody listens

    def _turn(self) -> bool:
        ready = self._wait()
        if self._source in ready:
            data = os.read(self._source, READ_BYTES)
            if not data:
                return False
            for packet in self._packets.feed(data):
                self._hear(packet)
        for service in self._services:
            service.look()
        self._advance()
        return True

    def _wait(self) -> "set[int]":
        """Wait until there is something to do, and return which descriptors can be read."""
        due = (
            [0.0] if self._running else [s for s in (one.due_s() for one in self._services) if s is not None]
        )
        with selectors.DefaultSelector() as selector:
            for descriptor in {self._source, *(fd for one in self._services for fd in one.descriptors())}:
                selector.register(descriptor, selectors.EVENT_READ)
            return {key.fd for key, _ in selector.select(max(0.0, min(due)) if due else None)}

    def _hear(self, packet: Packet) -> None:
        answer = self._answers.get(packet.kind)
        if answer is None:
            self._send(Packet(REFUSED, packet.call, {"reason": f"a relay knows no {packet.kind!r}"}))
            return
        self._running.append((packet.call, _guarded(answer, packet)))

    def _advance(self) -> None:
        """Let each call that is being answered say one thing."""
        for _ in range(len(self._running)):
            call, answer = self._running.popleft()
            said = next(answer, None)
            if said is None:
                continue
            self._send(said._replace(call=call))
            if said.kind not in (DONE, REFUSED):
                self._running.append((call, answer))

    def _send(self, packet: Packet) -> None:
        self._write(encode_packet(packet))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink, view) :]


def _guarded(answer: Answer, packet: Packet) -> Iterator[Packet]:
    """Yield what is answered, always ended by `done` or by `refused`."""
    try:
        for said in answer(packet) or ():
            yield said
            if said.kind == DONE:
                return
    except Refusal as refusal:
        yield Packet(REFUSED, 0, {"reason": str(refusal)})
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        yield Packet(REFUSED, 0, {"reason": f"{where}{error.strerror or error}", "errno": error.errno})
    else:
        yield Packet(DONE)


def services(root: str, arguments: Sequence[str]) -> List[Service]:
    """Return what a relay does for the HSM directory of a host."""
    from hsm.compute.agent.bundling import Bundling  # noqa: PLC0415 - they know the relay
    from hsm.compute.agent.cleaning import Cleaning  # noqa: PLC0415
    from hsm.compute.agent.preparing import Preparing  # noqa: PLC0415
    from hsm.compute.agent.reporting import Reporting  # noqa: PLC0415

    host = Host()
    return [Reporting(host, root), Bundling(host, root), Preparing(host, root), Cleaning(host, root)]


def main(arguments: Sequence[str]) -> int:
    """Run a relay: ROOT, the word to greet with, and what its services are told."""
    root, word, *rest = arguments
    Relay(0, 1, services(root, rest)).run(word)
    return 0
