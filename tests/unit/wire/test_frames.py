"""The frame format: whatever happens to the bytes, nothing that was not written is ever read."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.wire import frames
from hsm.wire.frames import (
    GENESIS,
    GroupReader,
    encode_frame,
    encode_group,
    ends_with_commit,
    holds_commit,
    is_torn,
)

GROUPS = [
    [b'{"t":"header"}'],
    [b'{"t":"a","n":1}', b'{"t":"b","text":"L1 0000"}'],
    [b"{}"],
    [b'{"t":"c"}', b"", b'{"t":"d","x":[1,2,3]}'],
]

payloads = st.binary(max_size=40).filter(lambda data: not data.startswith(b'{"t":"C",'))
logs = st.lists(st.lists(payloads, min_size=1, max_size=4), max_size=5)


def log_of(groups: list[list[bytes]]) -> tuple[bytes, list[int]]:
    """Return the bytes of a log, and where each of its groups ends."""
    data, ends, seq, chain = b"", [], 0, GENESIS
    for group in groups:
        part, seq, chain = encode_group(seq, chain, group)
        data += part
        ends.append(len(data))
    return data, ends


def read(data: bytes) -> list[list[bytes]]:
    return [group.payloads for group in GroupReader().feed(data)]


DATA, ENDS = log_of(GROUPS)


def test_a_frame_is_spelled_as_documented() -> None:
    """Header of 38 bytes: magic, sequence number, length, CRC-32 of both and the payload."""
    body = b"000000000000002a 00000002 "
    crc = zlib.crc32(body + b"{}")
    assert encode_frame(42, b"{}") == b"L1 " + body + b"%08x {}\n" % crc
    assert len(encode_frame(0, b"")) == frames.HEADER_BYTES + 1


def test_known_bytes_of_a_group() -> None:
    """The first group of a log has these very bytes, in every version."""
    data, seq, chain = encode_group(0, GENESIS, [b'{"t":"x"}'])
    assert (seq, chain.hex()) == (2, "87e1230043a4ee3c5eb669fc0b61ed3d")
    assert data == (
        b'L1 0000000000000000 00000009 d2eabfc7 {"t":"x"}\n'
        b'L1 0000000000000001 00000036 9fe956e3 {"t":"C","n":1,"h":"87e1230043a4ee3c5eb669fc0b61ed3d"}\n'
    )


@given(logs)
def test_what_is_written_is_read(groups: list[list[bytes]]) -> None:
    """Every group comes back whole, in order, and nothing is left over."""
    data, ends = log_of(groups)
    reader = GroupReader()
    found = reader.feed(data)
    assert [group.payloads for group in found] == groups
    assert [group.end for group in found] == ends
    assert (reader.damage, reader.pending, reader.offset) == (None, b"", len(data))


def test_a_log_cut_at_any_byte_reads_as_the_groups_before_the_cut() -> None:
    """A cut costs exactly the group it falls into; what is left over says that more could still come."""
    for cut in range(len(DATA) + 1):
        reader = GroupReader()
        found = [group.payloads for group in reader.feed(DATA[:cut])]
        whole = sum(end <= cut for end in ENDS)
        assert found == GROUPS[:whole], cut
        assert reader.offset + len(reader.pending) == cut
        assert (reader.damage is None) == (cut in {0, *ENDS}), cut
        assert reader.damage is None or reader.damage.incomplete, cut


def test_every_flipped_bit_is_found() -> None:
    """A flipped bit never gives a record that was not written, and never passes unnoticed."""
    for place in range(len(DATA)):
        for bit in range(8):
            damaged = bytearray(DATA)
            damaged[place] ^= 1 << bit
            reader = GroupReader()
            found = [group.payloads for group in reader.feed(bytes(damaged))]
            whole = sum(end <= place for end in ENDS)
            assert found == GROUPS[:whole], (place, bit)
            assert reader.damage is not None, (place, bit)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 4096))
def test_a_block_of_zeros_is_never_read_as_records(start: int, length: int) -> None:
    """Zeros where a file system lost a block cost what they cover and what comes after, nothing else."""
    end = min(start + length, len(DATA))
    found = read(DATA[:start] + bytes(end - start) + DATA[end:])
    assert found == GROUPS[: sum(at <= start for at in ENDS)]


@given(logs, st.data())
def test_bytes_in_pieces_read_as_bytes_at_once(groups: list[list[bytes]], data: st.DataObject) -> None:
    """However the bytes arrive, the groups and the place after them are the same."""
    content, _ = log_of(groups)
    content += data.draw(st.binary(max_size=60))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    once, pieces = GroupReader(), GroupReader()
    expected = once.feed(content)
    found = [
        group
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)
        for group in pieces.feed(content[start:end])
    ]
    assert found == expected
    assert (pieces.offset, pieces.seq, pieces.chain) == (once.offset, once.seq, once.chain)
    assert pieces.pending == once.pending
    assert pieces.damage == once.damage


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_reading_may_begin_after_any_group(number: int) -> None:
    """Offset, sequence number and chain after a group are all that reading on needs."""
    at = GroupReader().feed(DATA)[number]
    reader = GroupReader(offset=at.end, seq=at.seq, chain=at.chain)
    assert [group.payloads for group in reader.feed(DATA[at.end :])] == GROUPS[number + 1 :]


def test_a_group_dropped_doubled_or_moved_is_found() -> None:
    """The chain and the sequence numbers see what a checksum for each frame cannot."""
    parts = [DATA[start:end] for start, end in zip([0, *ENDS], ENDS, strict=False)]
    for order in ([0, 2, 3], [0, 1, 1, 2, 3], [0, 2, 1, 3], [1, 0, 2, 3]):
        reader = GroupReader()
        found = [group.payloads for group in reader.feed(b"".join(parts[i] for i in order))]
        assert found == GROUPS[: len(found)]
        assert len(found) < len(order)
        assert reader.damage is not None
        assert not reader.damage.incomplete


def test_a_group_of_another_log_is_found() -> None:
    """A whole, well-formed group that belongs elsewhere breaks the chain."""
    other, _ = log_of([[b"other"], [b"x", b"y"]])
    first = DATA[: ENDS[0]]
    reader = GroupReader()
    reader.feed(first + other[len(first) - 6 :])
    mixed = GroupReader()
    mixed.feed(first + log_of([[b'{"t":"other"}'], GROUPS[1]])[0][ENDS[0] - 1 :])
    assert reader.damage is not None
    assert mixed.damage is not None
    again = GroupReader(offset=ENDS[0], seq=2, chain=bytes(15) + b"\1")
    assert again.feed(DATA[ENDS[0] :]) == []
    assert again.damage is not None
    assert again.damage.reason == "the chain is broken"


@pytest.mark.parametrize(
    "spelling",
    [
        b"L1 00000000000000_0 00000002 %08x {}\n",
        b"L1 0000000000000000 0000000_2 %08x {}\n",
        b"L1 0000000000000000  0000002 %08x {}\n",
        b"L1 +000000000000000 00000002 %08x {}\n",
        b"L1 0000000000000000 00000002 %08X {}\n",
        b"L1 0000000000000000 00000002 %08x {}\r",
    ],
)
def test_each_frame_has_one_spelling(spelling: bytes) -> None:
    """Digits, spaces and letters that a lenient parser would take are refused, even with a right checksum."""
    text = spelling % zlib.crc32(spelling[3:29] + b"{}")
    frame = text if text != encode_frame(0, b"{}") else text.upper()
    commit = encode_group(0, GENESIS, [b"{}"])[0].partition(b"\n")[2]
    reader = GroupReader()
    assert reader.feed(frame + commit) == []
    assert reader.damage is not None
    assert not reader.damage.incomplete


def test_a_record_too_long_to_be_read_is_not_written() -> None:
    """The limit that readers hold is the writer's limit too."""
    with pytest.raises(ValueError, match="bytes"):
        encode_group(0, GENESIS, [bytes(frames.MAX_PAYLOAD + 1)])


def test_a_commit_is_found_at_any_offset() -> None:
    """Whether acknowledged groups stand behind a damage is seen wherever their frames begin."""
    last = DATA[ENDS[2] :]
    assert holds_commit(b"\0\x01L1 L1" + last)
    assert not holds_commit(last[:-1])
    assert not holds_commit(encode_frame(7, b"{}") * 3)


def test_a_place_behind_a_commit_is_known_by_the_commit() -> None:
    """The bytes before it, its sequence number and its chain: nothing else stands there."""
    data, ends = log_of([[b"one"], [b"two", b"three"], [b"four"]])
    reader = GroupReader()
    groups = reader.feed(data)
    for group in groups:
        before = data[: group.end]
        assert ends_with_commit(before, group.seq, group.chain)
        assert ends_with_commit(before[-150:], group.seq, group.chain)
        assert not ends_with_commit(before, group.seq + 1, group.chain)
        assert not ends_with_commit(before, group.seq, bytes(16))
        assert not ends_with_commit(before[:-1], group.seq, group.chain)
        assert not ends_with_commit(before + b"L", group.seq, group.chain)
    places = [end for end in range(len(data)) if ends_with_commit(data[:end], 2, groups[0].chain)]
    assert places == [ends[0]]


def test_a_group_that_a_power_cut_tore_is_told_from_damage() -> None:
    """Sectors left out of a group that was never acknowledged are no damage; all else before a commit is."""
    front, last, later = [b"x" * 700], [bytes([65 + n]) * 300 for n in range(6)], [b"later"]
    data, ends = log_of([front, last])
    reader = GroupReader()
    reader.feed(data[: ends[0]])
    at, seq = reader.offset, reader.seq
    sectors = range(at // 512, (ends[1] - 150) // 512)
    for left_out in range(1, 2 ** len(sectors)):
        torn = bytearray(data)
        for number, sector in enumerate(sectors):
            if left_out >> number & 1:
                start, end = max(at, sector * 512), sector * 512 + 512
                torn[start:end] = bytes(end - start)
        assert is_torn(bytes(torn[at:]), at, seq)
        assert not is_torn(bytes(torn[at:]) + log_of([front, last, later])[0][ends[1] :], at, seq)
        assert not is_torn(bytes(torn[at:]), at, seq - 1), "a group before it has been lost"
    for sector in sectors:
        for kept in (1, 35, 500):
            torn = bytearray(data)
            start, end = max(at, sector * 512 + kept), sector * 512 + 512
            torn[start:end] = bytes(end - start)
            assert is_torn(bytes(torn[at:]), at, seq), "the end of a sector that was written twice"
            torn[end - 1] = 65
            assert not is_torn(bytes(torn[at:]), at, seq), "zeros that end before their sector does"
    for place in range(at, ends[1] - 150, 37):
        flipped = bytearray(data)
        flipped[place] ^= 1
        assert not is_torn(bytes(flipped[at:]), at, seq)
