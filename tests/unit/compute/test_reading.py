"""What a host's agent recorded: honest records mean what they say, and anything else is refused by name."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.compute.agent_session import AgentSession
from hsm.compute.carrier import Carrier, Place
from hsm.compute.reading import MAX_NUMBER, MAX_REASON, NotBelieved, hindrance_of, observations_of, read
from hsm.core import events as ev
from hsm.core.cleaning import clean
from hsm.core.observed import event_of
from hsm.core.source import Capabilities, Observation
from hsm.core.states import AttemptState, Cause
from hsm.wire.log import Position, Record, UnreadableRecord, decode_record, encode_record
from hsm.wire.manifest import NO_FILES
from hsm.wire.messages import Close, Ended, Hindered, Lost, Message, Opened, Started, Withdrawn, to_record

HOST = "ssh:alpha"
TOKEN = "0123456789abcdef" * 2
DIGEST = "ab" * 32
ENDED = Ended(TOKEN, 0, None, 1.0, 2.0, 1.0, 0.5, 0.1, 4096, DIGEST, 3, 100, None, "")
HONEST: tuple[Message, ...] = (
    Opened(1, "0.1.0", "3.9.2", "alpha", 17, "123", "boot", "@socket", 1.0),
    Started(TOKEN, 18, "124", 1.5),
    ENDED,
    ENDED._replace(code=None, signal=9, cause="memory", reason="killed", report=None),
    ENDED._replace(code=1, cause="cancelled"),
    Withdrawn(TOKEN, 2.0),
    Lost(TOKEN, "its agent died", 3.0),
    Lost(TOKEN, "on a full disk", 3.0, "node", charged=False),
    Hindered("No space left on device: /scratch", 3.0, 28),
)

DEFAULTS = ((Withdrawn, "reason"), (Lost, "cause"), (Lost, "charged"), (Hindered, "errno"))

odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 1 << 63, 10**400, math.nan, math.inf, -math.inf, 1e300, -0.5])
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "\x1b[2J", "x" * 100_000, NO_FILES, "node", "sealed", "AB" * 32])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


def seen(record: Record) -> list[Observation]:
    return list(observations_of(HOST, [record]))


def outcome(record: Record) -> "list[Observation] | NotBelieved":
    """Return what a record comes to."""
    try:
        return seen(record)
    except NotBelieved as error:
        return error


@pytest.mark.parametrize("message", HONEST, ids=lambda message: type(message).__name__)
def test_an_honest_record_is_read_as_it_was_written(message: Message) -> None:
    """Through the very bytes of a log."""
    assert read(HOST, decode_record(encode_record(to_record(message)))) == message


@given(st.sampled_from(HONEST), st.data())
def test_no_record_of_a_host_breaks_anything_or_gets_odd_values_into_the_ledger(
    message: Message, data: st.DataObject
) -> None:
    """Whatever stands in its fields, it is refused in its host's name, or becomes an event that is one."""
    record = to_record(message)
    for name in data.draw(st.sets(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        record[name] = data.draw(odd)
    found = outcome(record)
    if isinstance(found, NotBelieved):
        assert found.source == HOST
        assert not found.transient
        assert len(found.message) < 400
        assert clean(found.message) == found.message
        return
    for one in found:
        event = event_of(one, 1, 1)
        line = json.dumps(ev.to_record(event), allow_nan=False)
        assert len(line) < 2000 + 6 * MAX_REASON
        line.encode("utf-8")
        assert ev.from_record(json.loads(line)) == event
        _assert_in_bounds(one)


def _assert_in_bounds(one: Observation) -> None:
    numbers: list[Any] = [one.at, one.started_at]
    if one.exit is not None:
        numbers += [one.exit.wall_s, one.exit.cpu_user_s, one.exit.cpu_system_s, one.exit.max_rss_bytes]
        assert (one.exit.code is None) != (one.exit.signal is None)
        assert one.cause is not None or one.exit.code == 0
    for number in numbers:
        assert type(number) in (int, float)
        assert 0 <= number <= MAX_NUMBER
    assert one.manifest is None or (len(one.manifest) == 64 and one.manifest != NO_FILES)
    one.reason.encode("utf-8")


@given(st.sampled_from(HONEST), st.data())
def test_a_record_with_a_field_more_or_less_is_refused(message: Message, data: st.DataObject) -> None:
    """But for fields that have a default."""
    record = to_record(message)
    name = data.draw(st.sampled_from(sorted(record)))
    del record[name]
    if (type(message), name) not in DEFAULTS:
        with pytest.raises(NotBelieved):
            seen(record)
    with pytest.raises(NotBelieved):
        seen({**to_record(message), data.draw(st.text(min_size=1)) + "x": 1})


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (to_record(ENDED._replace(wall_s=math.nan)), "`wall_s` of a record `ended` is nan"),
        (to_record(ENDED._replace(rss_bytes=10**400)), "`rss_bytes` of a record `ended` is a number without"),
        (to_record(ENDED._replace(report=NO_FILES)), "`report` of a record `ended` is e3b0c442"),
        (to_record(ENDED._replace(cause="sealed")), "`cause` of a record `ended` is sealed"),
        (to_record(ENDED._replace(code=3)), "the cause of a failure is None"),
        (to_record(ENDED._replace(signal=9)), "with code and signal is (0, 9)"),
        (to_record(Started(TOKEN, 1, "1", True)), "`at` of a record `started` is True"),
        (to_record(Close()), "a record of an agent is close"),
        ({"t": []}, "a record is message of unknown kind []"),
        ({"t": "ended\x1b[2J"}, "unknown kind 'ended\\x1b[2J'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_its_field(record: Record, field: str) -> None:
    """And with the host, once, and with what to do."""
    with pytest.raises(NotBelieved) as refused:
        seen(record)
    assert refused.value.message.startswith(f"source '{HOST}': it says what cannot be: ")
    assert field in refused.value.message
    assert f"--abandon-source {HOST}" in refused.value.hint


def test_a_reason_of_any_length_is_cut_and_can_be_written() -> None:
    """An honest one may name a file whose name is no text."""
    record = to_record(ENDED._replace(code=1, cause="application", reason="\udcff" + "y" * 1_000_000))
    (found,) = seen(record)
    assert len(found.reason) <= MAX_REASON + 6
    assert found.reason.startswith("\\udcff")
    assert found.cause is Cause.APPLICATION


def test_what_an_agent_lacks_is_the_last_that_it_told() -> None:
    """Nothing, when another one has begun."""
    lacks, opened = to_record(HONEST[-1]), to_record(HONEST[0])
    reason, hint = hindrance_of(HOST, [lacks])
    assert reason == "No space left on device: /scratch"
    assert "hsm source clean ssh:alpha --dry-run" in hint
    assert hindrance_of(HOST, [lacks, opened]) == ("", "")
    assert hindrance_of(HOST, [to_record(ENDED)]) == (None, "")


@given(st.binary(max_size=40) | st.sampled_from([b"[]", b"1", b"null", b"[" * 100_000, b"9" * 5000]))
def test_a_payload_that_is_no_object_is_no_record(payload: bytes) -> None:
    """Whatever bytes stand in a whole frame."""
    try:
        record: object = decode_record(payload)
    except UnreadableRecord as error:
        record = {"error": str(error)[:400]}
    assert isinstance(record, dict)


class Told(Carrier):
    """Carries what a test tells."""

    def __init__(self, *batches: list[Record] | UnreadableRecord) -> None:
        self._batches = list(batches)

    async def send(self, messages: list[Message]) -> None:
        """Throw them away."""

    async def receive(self, place: Place) -> tuple[list[Record], Place]:
        """Return the next batch."""
        batch = self._batches.pop(0)
        if isinstance(batch, UnreadableRecord):
            raise batch
        return batch, Place(1, Position(place.position.offset + 1))

    async def wait(self) -> bool:
        """There is always more."""
        return True

    async def sent(self) -> list[Record]:
        """Nothing was sent."""
        return []


async def read_on(states: list[AttemptState], *batches: list[Record] | UnreadableRecord) -> None:
    """Note what is seen until the session ends."""
    session = AgentSession(HOST, Told(*batches), Capabilities(slots=1))
    async for batch in session.observations():
        states += [one.state for one in batch.seen]


@pytest.mark.parametrize("bad", [[{"t": "ended"}], UnreadableRecord("no record: b'['")])
async def test_a_session_ends_at_what_cannot_be_and_takes_nothing_of_its_batch(bad: Any) -> None:
    """What was seen before it stands."""
    states: list[AttemptState] = []
    with pytest.raises(NotBelieved, match=HOST):
        await read_on(states, [to_record(HONEST[1])], bad)
    assert states == [AttemptState.RUNNING]
