"""The log writer and reader: what a full or failing disk leaves behind."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import (
    LogChanged,
    LogReader,
    LogWriter,
    Position,
    UnreadableRecord,
    decode_record,
    encode_record,
)
from tests.unit.wire.faulty import FaultyFiles

HEADER = {"t": "header"}


def records(path: Path) -> list[dict]:
    reader = LogReader(Files(), str(path))
    found = list(reader.records())
    assert reader.damage is None
    return found


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "000001.log"


def numbered(*numbers: int) -> list[bytes]:
    return [encode_record({"n": number}) for number in numbers]


def test_writes_that_the_kernel_splits_are_finished(files: FaultyFiles, path: Path) -> None:
    """A short write is gone on with until the group is whole."""
    files.chunk = 7
    log = LogWriter.create(files, str(path), HEADER)
    log.write(numbered(1, 2))
    log.close()
    assert records(path) == [HEADER, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize("room", [0, 1, 40, 100])
def test_nothing_of_a_group_stays_on_a_full_disk(files: FaultyFiles, path: Path, room: int) -> None:
    """However many bytes still fitted, the group is undone and the writer goes on when there is room."""
    log = LogWriter.create(files, str(path), HEADER)
    log.write(numbered(1))
    before = log.position
    files.room = room
    with pytest.raises(OSError, match="No space") as full:
        log.write(numbered(2, 3))
    assert full.value.errno == errno.ENOSPC
    assert (log.position, path.stat().st_size) == (before, before.offset)
    files.room = None
    log.write(numbered(4))
    log.sync()
    log.close()
    assert records(path) == [HEADER, {"n": 1}, {"n": 4}]


def test_a_group_that_can_neither_be_written_nor_undone_ends_the_log(files: FaultyFiles, path: Path) -> None:
    """Half a group that cannot be cut off must not be written behind: everything further is refused."""
    log = LogWriter.create(files, str(path), HEADER)
    files.room, files.truncate_error = 10, errno.EIO
    with pytest.raises(OSError, match="No space"):
        log.write(numbered(1))
    files.room, files.truncate_error = None, 0
    with pytest.raises(OSError, match="No space"):
        log.write(numbered(2))
    log.close()
    assert list(LogReader(Files(), str(path)).records()) == [HEADER]


def test_a_failed_sync_is_never_tried_again(files: FaultyFiles, path: Path) -> None:
    """After fdatasync failed, pages may have been dropped: neither sync nor write claims success again."""
    log = LogWriter.create(files, str(path), HEADER)
    log.write(numbered(1))
    files.sync_error = errno.EIO
    with pytest.raises(OSError, match="error"):
        log.sync()
    files.sync_error = 0
    with pytest.raises(OSError, match="error"):
        log.sync()
    with pytest.raises(OSError, match="error"):
        log.write(numbered(2))
    log.close()


def test_a_log_that_cannot_be_begun_leaves_no_descriptor(files: FaultyFiles, path: Path) -> None:
    """Creating a log on a full disk fails without holding on to the file."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.room = 5
    with pytest.raises(OSError, match="No space"):
        LogWriter.create(files, str(path), HEADER)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert path.read_bytes() == b""


def test_a_log_is_never_created_twice(files: FaultyFiles, path: Path) -> None:
    """Two writers cannot begin one log."""
    LogWriter.create(files, str(path), HEADER).close()
    with pytest.raises(FileExistsError):
        LogWriter.create(files, str(path), HEADER)


def test_a_log_goes_on_from_the_chain_of_another(files: FaultyFiles, tmp_path: Path) -> None:
    """A successor's groups are chained to its predecessor's and cannot be read without them."""
    first = LogWriter.create(files, str(tmp_path / "1"), HEADER)
    second = LogWriter.create(files, str(tmp_path / "2"), HEADER, first.position)
    second.write(numbered(1))
    start = first.position._replace(offset=0)
    assert list(LogReader(files, str(tmp_path / "2"), start).records()) == [HEADER, {"n": 1}]
    alone = LogReader(files, str(tmp_path / "2"))
    assert list(alone.records()) == []
    assert alone.damage is not None
    first.close()
    second.close()


def test_a_reader_reads_on(files: FaultyFiles, path: Path) -> None:
    """A reader that is asked again yields what came since, also through a tail that was half written."""
    log = LogWriter.create(files, str(path), HEADER)
    reader = LogReader(files, str(path))
    assert list(reader.records()) == [HEADER]
    group, _, _ = frames.encode_group(*log.position[1:], numbered(1))
    with path.open("ab") as file:
        file.write(group[:50])
        file.flush()
        assert list(reader.records()) == []
        assert reader.pending == group[:50]
        file.write(group[50:])
    assert list(reader.records()) == [{"n": 1}]
    log.close()


def test_a_reader_forgets_a_tail_that_its_writer_took_back(files: FaultyFiles, path: Path) -> None:
    """Bytes of a group that was undone on a full disk do not spoil what the writer writes there later."""
    log = LogWriter.create(files, str(path), HEADER)
    reader = LogReader(files, str(path))
    list(reader.records())
    files.room = 60
    seen = []
    files.before = lambda call: seen.append(list(reader.records())) if call == "truncate" else None
    with pytest.raises(OSError, match="No space"):
        log.write(numbered(1, 2))
    assert seen == [[]]
    assert reader.pending
    files.room = None
    log.write(numbered(3))
    log.close()
    assert list(reader.records()) == [{"n": 3}]


@pytest.mark.parametrize("limit_at", [0, 1, 2, 3])
def test_a_reader_keeps_a_limit(files: FaultyFiles, path: Path, limit_at: int) -> None:
    """Nothing that ends behind the limit is yielded, whole as it may be."""
    log = LogWriter.create(files, str(path), HEADER)
    ends = [0, log.position.offset]
    for number in (1, 2):
        log.write(numbered(number))
        ends.append(log.position.offset)
    log.close()
    reader = LogReader(files, str(path))
    assert len(list(reader.records(ends[limit_at]))) == limit_at
    assert reader.position.offset == ends[limit_at]
    assert list(reader.records(ends[limit_at])) == []


def test_a_log_that_does_not_exist_is_empty(files: FaultyFiles, path: Path) -> None:
    """A reader may be there before the writer."""
    reader = LogReader(files, str(path))
    assert list(reader.records()) == []
    assert (reader.position, reader.damage) == (Position(), None)


# Zeros that are laid out ahead

AHEAD = 2000


def test_small_groups_are_written_over_zeros(files: FaultyFiles, path: Path) -> None:
    """The file grows once for many groups; a reader takes the zeros for the end, and reads on later."""
    log = LogWriter.create(files, str(path), HEADER, ahead_bytes=AHEAD)
    reader, lengths = LogReader(files, str(path)), set()
    for number in range(30):
        log.write(numbered(number))
        lengths.add(path.stat().st_size)
        assert path.read_bytes()[log.position.offset :].strip(b"\0") == b""
        assert list(reader.records())[-1] == {"n": number}
        assert (reader.position, reader.damage, reader.pending) == (log.position, None, b"")
    assert len(lengths) <= 1 + log.position.offset // AHEAD
    log.sync()
    log.close()
    assert path.stat().st_size == log.position.offset, "no zeros stay behind a log that is closed"
    assert records(path) == [HEADER, *({"n": number} for number in range(30))]


def test_no_zeros_are_laid_out_for_groups_that_use_them_up(files: FaultyFiles, path: Path) -> None:
    """A group of that size makes the file grow by itself, over the zeros that are there."""
    log = LogWriter.create(files, str(path), HEADER, ahead_bytes=AHEAD)
    log.write([encode_record({"n": "x" * 3 * AHEAD})])
    assert path.stat().st_size == log.position.offset
    log.close()


@pytest.mark.parametrize("left", [0, 1, AHEAD - 1])
def test_zeros_are_only_laid_out_where_there_is_room(files: FaultyFiles, path: Path, left: int) -> None:
    """A group that fits is written however little room is left behind it, and that is left to others."""
    log = LogWriter.create(files, str(path), HEADER)
    group, _, _ = frames.encode_group(*log.position[1:], numbered(1))
    log.close()
    path.unlink()
    files.room = log.position.offset + left
    log = LogWriter.create(files, str(path), HEADER, ahead_bytes=AHEAD)
    assert path.stat().st_size == log.position.offset
    assert files.room == left
    files.room = len(group) - 1
    with pytest.raises(OSError, match="No space"):
        log.write([encode_record({"n": "x" * AHEAD})])
    assert path.stat().st_size == log.position.offset
    files.room = None
    log.write(numbered(1))
    log.close()
    assert records(path) == [HEADER, {"n": 1}]


def test_a_disk_that_fails_under_the_zeros_ends_the_log(files: FaultyFiles, path: Path) -> None:
    """The group before them is not relied on: it is not known to be written, and goes to another log."""
    log = LogWriter.create(files, str(path), HEADER)
    log._ahead_bytes = AHEAD

    def fail(call: str) -> None:
        if call == "write" and path.stat().st_size > log.position.offset:
            raise OSError(errno.EIO, "Input/output error")

    files.before = fail
    with pytest.raises(OSError, match="Input/output"):
        log.write(numbered(1))
    assert log.is_broken
    log.close()
    assert path.stat().st_size > log.position.offset, "what is not known is left as it is"


def test_a_file_that_took_the_place_of_a_log_is_noticed(files: FaultyFiles, path: Path) -> None:
    """Also where it is as long, which it is as long as there are zeros."""
    log = LogWriter.create(files, str(path), HEADER, ahead_bytes=AHEAD)
    log.write(numbered(1))
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(LogChanged, match="another file has its name"):
        log.write(numbered(2))
    log.close()
    assert path.read_bytes() == content


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_a_record_is_one_line_of_ascii_and_comes_back(record: dict) -> None:
    """Whatever a record holds, its payload can be read with `less` and gives the record again."""
    payload = encode_record(record)
    assert payload.isascii()
    assert b"\n" not in payload
    assert decode_record(payload) == record


@pytest.mark.parametrize("payload", [b"{} {}", b"{}\n", b" {}", b'{"t":1}x'])
def test_a_payload_is_one_object_and_nothing_around_it(payload: bytes) -> None:
    """Not even a blank: no writer of ours leaves one."""
    with pytest.raises(UnreadableRecord):
        decode_record(payload)
