"""The reference pages on states, events and the ledger say what the code does."""

from __future__ import annotations

import re
from dataclasses import fields

from hsm.core import events as ev
from hsm.core.states import Cause, SweepStatus, TaskStatus
from hsm.wire import frames
from hsm.wire.log import encode_record
from tests.unit.core import events_page
from tests.unit.core.states_page import PAGE, PICTURE, page, picture


def test_the_states_page_is_the_transition_table() -> None:
    """Table and picture are generated; run `python -m tests.unit.core.states_page` after a change."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text)
    assert PICTURE.read_text(encoding="utf-8") == picture()


def test_the_states_page_names_every_status_and_cause() -> None:
    """Of tasks and of sweeps."""
    text = PAGE.read_text(encoding="utf-8")
    for word in (*TaskStatus, *SweepStatus, *Cause):
        assert f"`{word}`" in text


def test_the_events_page_is_what_the_classes_say() -> None:
    """The table is generated; run `python -m tests.unit.core.events_page` after a change."""
    text = events_page.PAGE.read_text(encoding="utf-8")
    assert text == events_page.page(text)


def test_the_events_page_names_every_event_and_field() -> None:
    """One row for each kind, with all of its fields in order, and no row for anything else."""
    text = events_page.PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \|[^|]*\| (.*) \|$", text, re.MULTILINE))
    assert list(rows) == list(ev.EVENTS)
    for kind, cls in ev.EVENTS.items():
        assert re.findall(r"`([a-z_]+)`", rows[kind]) == [item.name for item in fields(cls)]


def test_the_example_of_the_ledger_page_is_a_ledger() -> None:
    """The frames that the page shows are read by the reader, whole and without damage."""
    text = (PAGE.parent / "ledger-format.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(L1 0.*?)```", text, re.DOTALL)
    assert block is not None
    reader = frames.GroupReader()
    groups = reader.feed(block[1].encode())
    assert [group.payloads for group in groups] == [[EXAMPLE]]
    assert (reader.damage, reader.pending) == (None, b"")


EXAMPLE = encode_record(
    {"t": "attempt_started", "task": 7, "attempt": 1, "at": 1795300000.25},
)
