"""The two ends of a link: a real relay in a thread, and the manager's end over a real socket."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from hsm.compute.agent.relay import Answer, Refusal, Relay, Service
from hsm.compute.link import CallRefused, Link, LinkLost
from hsm.core.errors import SourceError
from hsm.wire.link import DONE, Packet, greeting

WORD = "word"


class Echoes(Service):
    """Says things: once, often, without end, or not at all."""

    def __init__(self) -> None:
        self.said = 0
        self.is_over = threading.Event()
        self._idle_until: float | None = None

    def answers(self) -> dict[str, Answer]:
        return {
            "echo": self._echo,
            "count": self._count,
            "count-refused": self._count_refused,
            "endless": self._endless,
            "nothing": self._nothing,
            "no": self._no,
            "missing": self._missing,
            "push": self._push,
            "idle": self._idle,
        }

    def _echo(self, packet: Packet) -> Iterator[Packet]:
        yield Packet(DONE, 0, packet.fields, packet.body)

    def _nothing(self, packet: Packet) -> None:
        return None

    def _count(self, packet: Packet) -> Iterator[Packet]:
        for number in range(packet.fields["n"]):
            yield Packet("number", 0, {"number": number})

    def _count_refused(self, packet: Packet) -> Iterator[Packet]:
        yield from self._count(packet)
        raise Refusal("so far and no further")

    def _endless(self, packet: Packet) -> Iterator[Packet]:
        try:
            while True:
                self.said += 1
                yield Packet("more", 0, {}, bytes(1000))
        finally:
            self.is_over.set()

    def _no(self, packet: Packet) -> Iterator[Packet]:
        raise Refusal("it is not so", is_final=bool(packet.fields.get("final")))

    def _missing(self, packet: Packet) -> Iterator[Packet]:
        with Path("/nowhere/at/all").open(encoding="utf-8"):
            yield Packet(DONE)

    def due_s(self) -> float | None:
        return None if self._idle_until is None else max(0.0, self._idle_until - monotonic())

    def look(self) -> None:
        if self._idle_until is not None and monotonic() >= self._idle_until:
            self._idle_until = None
            self.send(Packet("pushed"))

    def _idle(self, packet: Packet) -> Iterator[Packet]:
        self._idle_until = monotonic() + packet.fields["s"]
        yield Packet(DONE)

    def _push(self, packet: Packet) -> Iterator[Packet]:
        self.send(Packet("pushed", 0, {"n": 1}))
        yield Packet(DONE)


@asynccontextmanager
async def linked(
    *services: Service, noise: bytes = b"", **timing: float
) -> AsyncIterator[tuple[Link, Callable[[], None]]]:
    """Return a link to a relay with these services, and what cuts it; `noise` is printed before."""
    here, there = socket.socketpair()
    there.sendall(noise)
    relay = Relay(there.fileno(), there.fileno(), services)
    thread = threading.Thread(target=relay.run, args=(WORD,))
    thread.start()
    reader, writer = await asyncio.open_connection(sock=here)
    link = Link("ssh:test", reader, writer, **timing)
    await link.greet(WORD)
    running = asyncio.create_task(link.run())
    try:
        yield link, lambda: there.shutdown(socket.SHUT_RDWR)
    finally:
        link.close()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive(), "the relay does not leave"
        there.close()


async def _read_on(answers: AsyncIterator[Packet]) -> None:
    async for _ in answers:
        continue


class TestCalls:
    """What is asked is answered."""

    async def test_fields_and_bytes_go_there_and_back(self) -> None:
        """As they are."""
        async with linked(Echoes()) as (link, _):
            fields = {"text": "ψ\n", "list": [1, None, 0.5]}
            done = await link.call("echo", fields, bytes(range(256)))
            assert (done.fields, done.body) == (fields, bytes(range(256)))
            assert (await link.call("nothing")).kind == DONE

    async def test_noise_before_the_greeting_is_told_from_what_is_said(self) -> None:
        """A banner, and even another relay's greeting, are skipped."""
        async with linked(Echoes(), noise=b"Welcome!\n" + greeting("other")) as (link, _):
            assert (await link.call("echo", {"n": 1})).fields == {"n": 1}

    async def test_many_calls_are_answered_each(self) -> None:
        """Whatever order they end in."""
        async with linked(Echoes()) as (link, _):
            answers = await asyncio.gather(*(link.call("echo", {"n": n}) for n in range(200)))
        assert [answer.fields["n"] for answer in answers] == list(range(200))

    async def test_a_refusal_says_why_and_the_link_goes_on(self) -> None:
        """In words of the service, or of its system; it says whether trying again is of use."""
        async with linked(Echoes()) as (link, _):
            for final in (False, True):
                with pytest.raises(CallRefused, match="it is not so") as refused:
                    await link.call("no", {"final": final})
                assert refused.value.transient is not final
            with pytest.raises(CallRefused, match="/nowhere/at/all: No such file") as refused:
                await link.call("missing")
            assert refused.value.errno == 2
            with pytest.raises(CallRefused, match="knows no 'unheard'"):
                await link.call("unheard")
            assert (await link.call("echo", {"n": 1})).fields == {"n": 1}

    async def test_what_is_pushed_reaches_who_listens(self) -> None:
        """It belongs to no call."""
        async with linked(Echoes()) as (link, _):
            pushed: list[Packet] = []
            link.on("pushed", pushed.append)
            await link.call("push")
        assert [packet.fields for packet in pushed] == [{"n": 1}]

    async def test_what_is_told_is_not_answered(self) -> None:
        """But a refusal of it is heard."""
        async with linked(Echoes()) as (link, _):
            refused: list[Packet] = []
            link.on("refused", refused.append)
            await link.tell("echo")
            await link.tell("no")
            await link.call("echo")
        assert [packet.fields["reason"] for packet in refused] == ["it is not so"]


class TestStreams:
    """Long answers."""

    async def test_long_answers_take_turns(self) -> None:
        """A call is answered while a long answer is on its way."""

        async def read(link: Link) -> int:
            async with link.stream("count", {"n": 5000}) as answers:
                return len([packet async for packet in answers])

        async with linked(Echoes()) as (link, _):
            reading = asyncio.create_task(read(link))
            for number in range(3):
                assert (await link.call("echo", {"n": number})).fields == {"n": number}
            assert not reading.done()
            assert await reading == 5001

    async def test_a_reader_that_does_not_keep_up_holds_the_relay(self) -> None:
        """No memory fills, neither here nor there."""
        echoes = Echoes()
        async with linked(echoes) as (link, _), link.stream("endless") as answers:
            await anext(answers)
            before = -1
            while before != echoes.said:  # until the line, and both ends, are full
                before = echoes.said
                await asyncio.sleep(0.05)
            assert echoes.said < 2000

    @pytest.mark.parametrize("end", ["count", "count-refused"])
    async def test_what_has_come_is_taken_at_once_and_its_end_is_left(self, end: str) -> None:
        """Who takes all that is at hand hears each packet once, in order, and then how the answer ends."""
        async with linked(Echoes()) as (link, _), link.stream(end, {"n": 500}) as answers:
            found: list[list[Packet]] = []
            try:
                async for packet in answers:
                    at_hand = answers.at_hand()
                    found.append([packet, *at_hand])
            except CallRefused:
                assert end == "count-refused"
            else:
                assert end == "count"
                assert [one.kind for one in found.pop()] == [DONE]
        assert [one.fields["number"] for batch in found for one in batch] == list(range(500))
        assert max(map(len, found)) > 1

    async def test_who_leaves_a_stream_ends_it_there_too(self) -> None:
        """The relay stops saying what nobody hears, and the link is free for others."""
        echoes = Echoes()
        async with linked(echoes) as (link, _):
            async with link.stream("endless") as answers:
                await anext(answers)
            assert (await link.call("echo", {"n": 1})).fields == {"n": 1}
            assert await asyncio.to_thread(echoes.is_over.wait, 10)


class TestLoss:
    """The link is lost as a whole."""

    async def test_a_lost_link_ends_every_call(self) -> None:
        """Those that wait, streams that are read, and those that are begun later."""
        async with linked(Echoes()) as (link, cut):
            async with link.stream("endless") as answers:
                await anext(answers)
                cut()
                with pytest.raises(LinkLost) as lost:
                    await _read_on(answers)
            assert lost.value.transient
            with pytest.raises(LinkLost):
                await link.call("echo")

    async def test_a_relay_that_is_silent_is_given_up(self) -> None:
        """Nothing comes, and the line is not closed: half open."""
        here, there = socket.socketpair()
        there.sendall(greeting(WORD))
        reader, writer = await asyncio.open_connection(sock=here)
        link = Link("ssh:test", reader, writer, beat_s=0.02, silence_s=0.1)
        await link.greet(WORD)
        with pytest.raises(LinkLost, match=r"silent for 0\.1 s"):
            await link.run()
        link.close()
        there.close()

    async def test_beats_keep_an_idle_link(self) -> None:
        """The relay answers each of them."""
        async with linked(Echoes(), beat_s=0.02, silence_s=0.2) as (link, _):
            pushed = asyncio.Event()
            link.on("pushed", lambda _: pushed.set())
            await link.call("idle", {"s": 0.6})
            await pushed.wait()

    async def test_a_relay_leaves_a_manager_that_is_silent(self) -> None:
        """Its channel may not know for hours that nobody is there."""
        here, there = socket.socketpair()
        relay = Relay(there.fileno(), there.fileno(), [Echoes()], 0.1)
        await asyncio.to_thread(relay.run, WORD)
        here.close()
        there.close()

    async def test_what_is_no_packet_ends_the_link(self) -> None:
        """A host that says something else is not listened to."""
        here, there = socket.socketpair()
        there.sendall(greeting(WORD) + b"\xff" * 100)
        reader, writer = await asyncio.open_connection(sock=here)
        link = Link("ssh:test", reader, writer)
        await link.greet(WORD)
        with pytest.raises(LinkLost, match="a packet of"):
            await link.run()
        link.close()
        there.close()

    async def test_without_a_greeting_there_is_no_link(self) -> None:
        """What was said instead is the hint."""
        here, there = socket.socketpair()
        there.sendall(b"bash: python3: command not found\n")
        there.close()
        reader, writer = await asyncio.open_connection(sock=here)
        with pytest.raises(SourceError, match="did not start") as error:
            await Link("ssh:test", reader, writer).greet(WORD)
        assert "command not found" in error.value.hint
        writer.close()
