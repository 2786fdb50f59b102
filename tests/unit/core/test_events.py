"""Events and their records: what is written can be read, what is not known is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core import events as ev
from hsm.core.model import Exit
from hsm.core.states import Cause, Hindrance, SweepStatus
from hsm.wire.log import decode_record, encode_record

times = st.floats(0, 4e9)
texts = st.text(max_size=20)
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "exit": st.builds(
        Exit, code=st.none() | st.integers(0, 255), signal=st.none() | st.integers(1, 64), wall_s=times
    ),
    "metrics": st.none()
    | st.dictionaries(texts, st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    "notes": st.lists(texts, max_size=3).map(tuple),
    "tasks": st.lists(st.integers(1, 99), max_size=3).map(tuple),
    "tokens": st.lists(texts, max_size=3).map(tuple),
    "others": st.lists(texts, max_size=3).map(tuple),
    "status": st.sampled_from(SweepStatus),
    "hindrance": st.sampled_from(Hindrance),
    "manifest": st.none() | texts,
}
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(0, 10**9),
    float: times,
    str: texts,
    bool: st.booleans(),
    Cause: st.sampled_from(Cause),
    Cause | None: st.none() | st.sampled_from(Cause),
}


def instances(cls: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    names = [item.name for item in fields(cls)]
    return st.builds(
        cls, **{name: BY_NAME[name] if name in BY_NAME else BY_TYPE[hints[name]] for name in names}
    )


@pytest.mark.parametrize("cls", ev.EVENTS.values(), ids=list(ev.EVENTS))
def test_every_event_comes_back_from_its_record(cls: type) -> None:
    """Written as one line of JSON and read again, an event is equal and of the same types."""

    @given(instances(cls))
    def comes_back(event: Any) -> None:
        again = ev.from_record(decode_record(encode_record(ev.to_record(event))))
        assert again == event
        assert type(again) is type(event)
        assert hash(str(again)) == hash(str(event)), "types inside are equal too"

    comes_back()


def test_every_event_of_the_union_has_a_kind_of_its_own() -> None:
    """No event is forgotten in the table, and no two share a name."""
    classes = [*get_args(ev.TaskEvent), *get_args(ev.SweepEvent)]
    assert list(ev.EVENTS.values()) == classes
    assert len({cls.kind for cls in classes}) == len(classes)


def test_what_has_its_default_is_left_out() -> None:
    """A ledger of a million tasks does not repeat the ordinary."""
    event = ev.AttemptSealed(task=1, attempt=1, at=5.0)
    assert ev.to_record(event) == {"t": "attempt_sealed", "task": 1, "attempt": 1, "at": 5.0}


def test_a_field_may_be_added_with_a_default() -> None:
    """A record written before the field existed is still read."""
    record = {"t": "source_failed", "source": "local", "reason": "gone", "at": 1.0}
    assert ev.from_record(record) == ev.SourceFailed(source="local", reason="gone", at=1.0)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"t": "moon_landed", "at": 1.0}, "unknown kind 'moon_landed'"),
        ({}, "unknown kind None"),
        ({"t": "attempt_started", "task": 1}, "attempt_started: .*missing"),
        ({"t": "attempt_started", "task": 1, "attempt": 1, "at": 1.0, "color": 2}, "color"),
        ({"t": "attempt_lost", "task": 1, "attempt": 1, "at": 1.0, "reason": "", "cause": "magic"}, "magic"),
        ({"t": "engine_stopped", "epoch": 1, "status": "odd", "at": 1.0}, "odd"),
        (
            {
                "t": "attempt_exited",
                "task": 1,
                "attempt": 1,
                "exit": {"mood": 1},
                "manifest": None,
                "started_at": 1.0,
                "at": 1.0,
            },
            "mood",
        ),
        (
            {
                "t": "attempt_exited",
                "task": 1,
                "attempt": 1,
                "exit": None,
                "manifest": None,
                "started_at": 1.0,
                "at": 1.0,
            },
            "exit",
        ),
    ],
)
def test_what_is_not_known_is_refused(record: dict[str, Any], words: str) -> None:
    """A kind, a field or a word of a newer version is never guessed at."""
    with pytest.raises(ev.UnknownEvent, match=words):
        ev.from_record(record)


def test_the_kinds_and_fields_of_format_1() -> None:
    """Kinds and fields may be added; none that is written in ledgers may go away or change its name."""
    written = {kind: [item.name for item in fields(cls)] for kind, cls in ev.EVENTS.items()}
    missing = {
        kind: sorted(set(names) - set(written.get(kind, [])))
        for kind, names in json.loads(FORMAT_1).items()
        if set(names) - set(written.get(kind, []))
    }
    assert not missing


FORMAT_1 = """{
  "task_reused": ["task", "of"],
  "attempt_intended": ["task", "attempt", "token", "source", "at"],
  "attempt_submitted": ["task", "attempt", "ref"],
  "attempt_unconfirmed": ["task", "attempt", "reason", "at"],
  "attempt_rejected": ["task", "attempt", "cause", "reason", "at"],
  "attempt_voided": ["task", "attempt", "reason", "at"],
  "attempt_started": ["task", "attempt", "at"],
  "attempt_missed": ["task", "attempt", "at"],
  "attempt_exited": ["task", "attempt", "exit", "manifest", "cause", "reason", "started_at", "at"],
  "attempt_lost": ["task", "attempt", "cause", "reason", "at"],
  "attempt_cancelled": ["task", "attempt", "at"],
  "attempt_sealed": ["task", "attempt", "metrics", "notes", "files", "bytes", "at"],
  "attempt_failed": ["task", "attempt", "cause", "reason", "signature", "at"],
  "attempt_superseded": ["task", "attempt", "at"],
  "sweep_created": ["sweep_id", "name", "config_digest", "program_digest", "at"],
  "engine_started": ["epoch", "host", "pid", "version", "at"],
  "engine_stopped": ["epoch", "status", "reason", "at"],
  "source_opened": ["source", "slots", "at"],
  "source_failed": ["source", "reason", "hint", "at"],
  "cursor_moved": ["source", "cursor"],
  "generation_planned": ["generation", "plan", "first", "count", "at"],
  "hunt_ended": ["generation", "at"],
  "cancel_requested": ["tasks", "at"],
  "tasks_reopened": ["tasks", "at"],
  "sweep_stopped": ["reason", "at"]
}"""
