"""Answers that take long, made beside the relay's loop: meanwhile it answers others, and the link's beats."""

from __future__ import annotations

from typing import Callable, Iterable, Iterator

from hsm.compute.agent.host import Host
from hsm.wire.link import Packet

WAITING = "waiting"
STEP_S = 0.25
"""The others are held up for so long at most."""


def apart(host: Host, answer: Callable[[], Iterable[Packet]]) -> Iterator[Packet]:
    """Yield the packets of an answer, `waiting` packets before them while it is being made.

    Raises:
        Exception: whatever making it raised.
    """
    errand = host.errand(lambda: list(answer()))
    while not errand.wait(STEP_S):
        yield Packet(WAITING)
    yield from errand.result()
