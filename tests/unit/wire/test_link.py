"""Packets: however a stream is cut, they come out as they went in."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.wire.link import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    BadPacket,
    Packet,
    PacketReader,
    encode_packet,
    greeting,
)

PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
FIELDS = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in ("t", "call")), PLAIN, max_size=4
)
PACKETS = st.lists(
    st.builds(Packet, st.text(max_size=8), st.integers(0, 2**40), FIELDS, st.binary(max_size=60)), max_size=4
)


@settings(max_examples=30)
@given(PACKETS, st.data())
def test_packets_survive_any_cut(packets: list[Packet], data: st.DataObject) -> None:
    """Fed in pieces of any length, the reader gives the same packets, each as soon as it is whole."""
    stream = b"".join(map(encode_packet, packets))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    reader, found = PacketReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == packets


def test_packets_survive_a_cut_at_every_offset() -> None:
    """Two pieces, cut anywhere: what is whole in the first one is given at once, and nothing twice."""
    packets = [Packet("a", 1, {"x": [1, {"y": "ψ\n"}]}, b"\0body"), Packet("b"), Packet("c", 2, {}, b"z" * 9)]
    stream = b"".join(map(encode_packet, packets))
    ends = [len(b"".join(map(encode_packet, packets[:count]))) for count in range(4)]
    for cut in range(len(stream) + 1):
        reader = PacketReader()
        first = reader.feed(stream[:cut])
        assert len(first) == sum(0 < end <= cut for end in ends)
        assert first + reader.feed(stream[cut:]) == packets


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"t":"x"}',
        b'{"call":1}',
        b'{"t":1,"call":1}',
        b'{"t":"x","call":true}',
        b"\xff",
    ],
)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    """A stream that holds something else is not read on."""
    with pytest.raises(BadPacket):
        PacketReader().feed(struct.pack(">II", len(header), 0) + header)


def test_lengths_that_no_packet_has_are_refused_before_anything_is_held() -> None:
    """Neither side makes the other hold gigabytes."""
    for lengths in ((MAX_HEADER_BYTES + 1, 0), (0, MAX_BODY_BYTES + 1)):
        with pytest.raises(BadPacket):
            PacketReader().feed(struct.pack(">II", *lengths))


def test_a_packet_that_is_too_long_is_never_sent() -> None:
    """Whoever makes it is told, not the other side."""
    with pytest.raises(ValueError, match="a packet of"):
        encode_packet(Packet("x", 0, {}, bytes(MAX_BODY_BYTES + 1)))


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_headers_are_one_line_of_ascii(value: object) -> None:
    """Whatever is in the fields, so that a log of a link can be read."""
    data = encode_packet(Packet("x", 1, {"value": value}))
    header = data[8:]
    assert header.isascii()
    assert b"\n" not in header
    assert json.loads(header)["value"] == value


def test_a_greeting_stands_on_a_line_of_its_own() -> None:
    """Whatever a shell printed before, and without a line's end."""
    assert (b"prompt$ " + greeting("word")).splitlines()[-1] == b"@@hsm-link word"
