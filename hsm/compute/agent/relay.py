"""The relay: the hands of a manager on another machine. It answers packets on its standard input and output.

It keeps nothing and decides nothing: what lasts is in the logs of the agent, which goes on when the relay's
channel, and with it the relay, is gone. What it can do is a set of services, each of which answers some kinds
of packets; a long answer is an iterator of packets, and several of those take turns.
"""

from __future__ import annotations

import argparse
import os
import select
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from hsm.compute.agent.host import Host
from hsm.compute.agent.room import how_full
from hsm.wire.files import Files
from hsm.wire.link import BEAT, DONE, REFUSED, STOP, BadPacket, Packet, PacketReader, encode_packet, greeting

READ_BYTES = 256 << 10
SILENCE_S = 120.0
"""A manager that says nothing for so long has gone, though its channel does not know yet."""

Answer = Callable[[Packet], Optional[Iterator[Packet]]]
Send = Callable[[Packet], None]
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


class Refusal(Exception):
    """A call that cannot be answered, in words for the user; the link goes on.

    With `is_final` it is of no use to try again.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


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
        """Do what is due. Called after whatever happens, so it must be cheap when nothing is."""


class Relay:
    """Reads packets, lets services answer, and writes what they say, until nobody listens any more.

    Writing waits for the reader: a manager that does not keep up holds the relay, and no memory fills.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        services: Sequence[Service],
        silence_s: float = SILENCE_S,
        *,
        host: Optional[Host] = None,
    ) -> None:
        self._host = host or Host()
        self._source = source
        self._sink = sink
        self._services = services
        self._silence_s = silence_s
        self._heard_at = self._host.monotonic()
        self._packets = PacketReader()
        self._running: List[Tuple[int, Iterator[Packet]]] = []
        self._answers: Dict[str, Answer] = {}
        for service in services:
            service.send = self._send
            self._answers.update(service.answers())

    def run(self, word: str) -> None:
        """Greet with the manager's word, and serve until the channel closes."""
        for descriptor in (self._source, self._sink):
            os.set_blocking(descriptor, True)
        try:
            self.greet(word)
            while self._turn():
                pass
        except (BrokenPipeError, ConnectionError, BadPacket):
            return  # the manager has gone, or what comes is none of its words: either way nobody listens

    def greet(self, word: str) -> None:
        """Say the line by which the manager knows where packets begin."""
        self._write(greeting(word))

    def _turn(self) -> bool:
        if self._source not in self._wait():
            return self.turn(b"")
        data = os.read(self._source, READ_BYTES)
        return bool(data) and self.turn(data)

    def turn(self, data: bytes) -> bool:
        """Hear what has come, if anything, and do what is due; False when the manager has gone silent.

        Raises:
            BadPacket: what comes is none of a manager's words.
        """
        if data:
            self._heard_at = self._host.monotonic()
            for packet in self._packets.feed(data):
                self._hear(packet)
        for service in self._services:
            service.look()
        self._advance()
        return self._host.monotonic() < self._heard_at + self._silence_s

    def due_s(self) -> float:
        """Return in how many seconds the next turn is due, though nothing comes."""
        wants = [service.due_s() for service in self._services]
        due = [want for want in wants if want is not None]
        due.append(self._heard_at + self._silence_s - self._host.monotonic())
        return 0.0 if self._running else max(0.0, min(due))

    def _wait(self) -> "List[int]":
        """Wait until there is something to do, and return which descriptors can be read."""
        poll = select.poll()
        poll.register(self._source, _READABLE)
        for service in self._services:
            for descriptor in service.descriptors():
                poll.register(descriptor, _READABLE)
        return [descriptor for descriptor, _ in poll.poll(self.due_s() * 1000)]

    def _hear(self, packet: Packet) -> None:
        answer = self._answers.get(packet.kind)
        if packet.kind == BEAT:
            self._send(Packet(BEAT))
        elif packet.kind == STOP:
            self._running = [running for running in self._running if running[0] != packet.call]
        elif answer is None:
            self._send(Packet(REFUSED, packet.call, {"reason": f"a relay knows no {packet.kind!r}"}))
        else:
            self._running.append((packet.call, _guarded(self._host.files, answer, packet)))

    def _advance(self) -> None:
        """Let each call that is being answered say one thing."""
        going, self._running = self._running, []
        for call, answer in going:
            said = next(answer)
            if call or said.kind != DONE:  # what belongs to no call needs no end
                self._send(said._replace(call=call))
            if said.kind not in (DONE, REFUSED):
                self._running.append((call, answer))

    def _send(self, packet: Packet) -> None:
        self._write(encode_packet(packet))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink, view) :]


def _guarded(files: Files, answer: Answer, packet: Packet) -> Iterator[Packet]:
    """Yield what is answered, always ended by `done` or by `refused`."""
    try:
        for said in answer(packet) or ():
            yield said
            if said.kind == DONE:
                return
    except Refusal as refusal:
        yield Packet(REFUSED, 0, {"reason": str(refusal), "final": refusal.is_final})
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        reason = f"{where}{error.strerror or error}{how_full(files, error)}"
        yield Packet(REFUSED, 0, {"reason": reason, "errno": error.errno})
    else:
        yield Packet(DONE)


def services(root: str, host: Host) -> "List[Service]":
    """Return everything that a relay does under HSM's directory on this host."""
    # They know the relay, and an agent needs none of them.
    from hsm.compute.agent.bundling import Bundling  # noqa: PLC0415
    from hsm.compute.agent.carrying import Carrying  # noqa: PLC0415
    from hsm.compute.agent.cleaning import Cleaning  # noqa: PLC0415
    from hsm.compute.agent.growing import Growing  # noqa: PLC0415
    from hsm.compute.agent.preparing import Preparing  # noqa: PLC0415
    from hsm.compute.agent.reporting import Reporting  # noqa: PLC0415
    from hsm.compute.agent.sending import Sending  # noqa: PLC0415

    return [
        Carrying(host, root),
        Reporting(host, root),
        Sending(host.files, root),
        Growing(host, root),
        Bundling(host, root),
        Preparing(host, root),
        Cleaning(host, root),
    ]


def main(arguments: Sequence[str]) -> int:
    """Serve the manager at the other end of standard input and output until it has gone.

    ROOT, and the word to greet with, which tells what is said from a shell's noise.
    """
    parser = argparse.ArgumentParser(prog="hsm-agent relay")
    parser.add_argument("root")
    parser.add_argument("word")
    parser.add_argument("--silence", type=float, default=SILENCE_S, help="leave after so long without a word")
    said = parser.parse_args(arguments)
    root = os.path.abspath(os.path.expanduser(said.root))
    os.makedirs(root, mode=0o700, exist_ok=True)
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # whatever prints by accident never gets between packets
    Relay(source, sink, services(root, Host()), said.silence).run(said.word)
    return 0
