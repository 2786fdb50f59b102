"""What a manager asks of a host for the project that attempts start from.

    assemble   the bundle of a digest: where it lies, or else which objects are lacking
    objects    parts of objects, many in one packet

The listing of a bundle is an object too, under the digest of the bundle; until it has come, it is all that is
lacking.
"""

from __future__ import annotations

import os
import zlib
from typing import Dict, Iterator, List, Optional, Sequence

from hsm.compute.agent.apart import apart
from hsm.compute.agent.host import Host
from hsm.compute.agent.objects import Part
from hsm.compute.agent.premises import Premises
from hsm.compute.agent.relay import Answer, Refusal, Service
from hsm.compute.agent.retention import REFERENCE, Retention
from hsm.compute.agent.shelf import Shelf
from hsm.wire.bundle import SHA256, Item
from hsm.wire.link import DONE, Packet

LACKING = "lacking"
MAX_PART_BYTES = 1 << 20
NAMED_AT_ONCE = 1000
TRIES = 3


class Bundling(Service):
    """Stores objects, and makes bundles of them."""

    def __init__(self, host: Host, root: str) -> None:
        self._host = host
        self._premises = Premises(host.files, root)
        self._files = host.files
        self._shelf = Shelf(self._premises, host)
        self._retention = Retention(host, self._premises, self._shelf)

    def answers(self) -> Dict[str, Answer]:
        """Return who answers which kind of packet."""
        return {
            "assemble": lambda packet: apart(self._host, lambda: self._assemble(packet)),
            "objects": self._objects,
        }

    def _assemble(self, packet: Packet) -> Iterator[Packet]:
        """Say where a bundle lies, which a sweep will use; or name what is lacking, and then `done`."""
        digest = packet.fields.get("digest")
        if not isinstance(digest, str) or not SHA256.fullmatch(digest):
            raise Refusal(f"no bundle is called {digest!a:.100}")
        self._premises.settle()
        self._hold(packet.fields.get("sweep"), digest)
        items = self._shelf.listing(digest)
        if items is None:
            yield Packet(LACKING, 0, {"objects": [digest]})
            yield Packet(DONE, 0, {"path": None})
            return
        lacking = [] if self._shelf.is_intact(digest, items) else self._made(digest, items)
        for start in range(0, len(lacking), NAMED_AT_ONCE):
            yield Packet(LACKING, 0, {"objects": lacking[start : start + NAMED_AT_ONCE]})
        if not lacking:
            self._shelf.note_use(digest)
        yield Packet(DONE, 0, {"path": None if lacking else self._shelf.path(digest)})

    def _hold(self, sweep_id: object, digest: str) -> None:
        """Note that a sweep uses a bundle, so that it stays as long as the sweep is here."""
        home = os.path.join(self._premises.sweep(sweep_id), ".hsm")
        self._files.make_directories(home)
        self._files.replace(os.path.join(home, REFERENCE), digest.encode("ascii"))

    def _made(self, digest: str, items: Sequence[Item]) -> List[str]:
        """Make a bundle; return what is lacking for that."""
        for _ in range(TRIES):
            lacking = self._shelf.objects.lacking(items)
            if lacking:
                self._shelf.check_room(lacking)
                return [item.content for item in lacking]
            try:
                self._shelf.assemble(digest, items)
            except FileNotFoundError:
                continue  # an object has gone meanwhile, for somebody cleans
            self._retention.keep_few(digest)
            return []
        raise Refusal("its objects go as soon as they come: does somebody clean there?")

    def _objects(self, packet: Packet) -> Optional[Iterator[Packet]]:
        self._premises.settle()
        self._shelf.objects.take(_parts(packet))
        return None


def _parts(packet: Packet) -> List[Part]:
    """Return the parts of objects in a packet.

    Raises:
        Refusal: it is not one of those.
    """
    data = packet.body
    parts: List[Part] = []
    try:
        if packet.fields.get("deflated"):
            inflate = zlib.decompressobj()
            data = inflate.decompress(data, MAX_PART_BYTES)
            if not inflate.eof:
                raise Refusal(f"a packet of objects is cut off, or holds more than {MAX_PART_BYTES} bytes")
        at = 0
        for sha256, start, length, size in packet.fields["parts"]:
            if not all(type(number) is int and number >= 0 for number in (start, length, size)):
                raise Refusal("a part of an object without place")
            if type(sha256) is not str or at + length > len(data):
                raise Refusal("a part of an object without name or bytes")
            parts.append(Part(sha256, start, size, data[at : at + length]))
            at += length
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise Refusal(f"no objects: {error}") from error
    return parts
