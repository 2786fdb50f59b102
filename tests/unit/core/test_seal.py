"""The seal of a sweep: one hash over its results, in the ledger and beside it; any change is found."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core import events as ev
from hsm.core.machine import replace
from hsm.core.model import Attempt, Proposal
from hsm.core.notes import seal_if_due
from hsm.core.plan import load_plan, write_plan
from hsm.core.seal import SealCheck, check_seal, leaves, merkle_root, read_seal, sealed
from hsm.core.segments import segments
from hsm.core.states import AttemptState, SweepStatus, TaskStatus
from hsm.core.sweep_state import SweepState
from hsm.core.verification import survey
from tests.unit.core.resting import FILES, SPEC, Resting, ending, resting


def check(found: Resting) -> SealCheck:
    here = survey(FILES, found.tree, SPEC)
    return check_seal(FILES, found.tree, here.tracker, here.seals)


def content(found: Resting) -> dict[str, Any]:
    text: dict[str, Any] = json.loads(found.tree.seal.read_text())
    return text


def recursive_root(lines: list[bytes]) -> bytes:
    """The definition of RFC 6962, as it stands there."""
    if not lines:
        return sha256(b"").digest()
    if len(lines) == 1:
        return sha256(b"\0" + lines[0]).digest()
    split = 1
    while split * 2 < len(lines):
        split *= 2
    return sha256(b"\1" + recursive_root(lines[:split]) + recursive_root(lines[split:])).digest()


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_the_root_is_that_of_rfc_6962(lines: list[bytes]) -> None:
    """Whoever has another implementation can work it out."""
    assert merkle_root(lines) == recursive_root(lines).hex()


def test_the_root_depends_on_every_result_and_on_their_order() -> None:
    """One digit of one digest, one result more or less, two of them swapped."""
    lines = [b"task_%04d 1 %064x" % (task, task) for task in range(1, 8)]
    others = [
        [*lines[:3], lines[3][:-1] + b"0", *lines[4:]],
        lines[:-1],
        [*lines, lines[-1]],
        [lines[1], lines[0], *lines[2:]],
    ]
    assert len({merkle_root(each) for each in [lines, *others]}) == 5


def test_a_sweep_that_is_over_is_sealed_in_its_ledger_and_beside_it(tmp_path: Path) -> None:
    """Results only; failures are covered by the ledger's chain, to which the head leads."""
    found = resting(tmp_path, 4, failed=[3])
    tracker, said = found.tracker(), content(found)
    lines = list(leaves(tracker))
    assert [line.split()[0] for line in lines] == [b"task_0001", b"task_0002", b"task_0004"]
    assert lines[0].decode() == f"task_0001 1 {tracker.task(1).attempts[0].manifest}"
    assert (said["results"], said["root"]) == (3, merkle_root(lines))
    assert (said["status"], said["counts"]) == ("failed", {"sealed": 3, "failed": 1})
    assert tracker.sealed is not None
    assert tracker.sealed.root == said["root"]
    result = check(found)
    assert (result.faults, result.is_past) == ((), False)
    assert said["root"] in result.head
    assert said["ledger"]["chain"] in result.head
    assert "\n" not in result.head


def test_nothing_is_sealed_that_is_not_over(tmp_path: Path) -> None:
    """Open tasks, a stopped sweep: there is no seal, and its lack is no fault."""
    found = resting(tmp_path, 2)
    found.tree.task(1).rename(tmp_path / "aside")
    other = resting(tmp_path / "other", 2, failed=[1])
    before = content(other)
    tracker = other.engine([ev.TasksReopened(tasks=(1,), at=11.0)])
    assert sealed(tracker, 1.0) is None
    assert content(other) == before, "the old one stays, and is still true of its place in the ledger"
    result = check(other)
    assert (result.faults, result.is_past) == ((), True)


def test_a_sweep_that_is_opened_and_over_again_is_sealed_anew(tmp_path: Path) -> None:
    """Another root, another head; both seals stand in the ledger."""
    found = resting(tmp_path, 2, failed=[1])
    first = content(found)
    found.tree.task(1).rename(found.tree.attempts / "task_0001.1-00000000")
    found.engine([ev.TasksReopened(tasks=(1,), at=11.0)], ending(found.tree, 1, 2))
    second = content(found)
    assert (first["results"], second["results"]) == (1, 2)
    assert first["root"] != second["root"]
    assert second["status"] == "complete"
    result = check(found)
    assert (result.faults, result.is_past) == ((), False)
    found.tree.seal.write_text(json.dumps(first))
    result = check(found)
    assert (result.faults, result.is_past) == ((), True), "an older seal of the same ledger"


def test_what_an_engine_died_too_early_to_seal_is_sealed_later(tmp_path: Path) -> None:
    """As of when it ended; a sweep that is sealed, or not over, is left as it is."""
    found = resting(tmp_path, 2, failed=[1])
    found.tree.task(1).rename(found.tree.attempts / "task_0001.1-00000000")
    found.engine([ev.TasksReopened(tasks=(1,), at=11.0)], ending(found.tree, 1, 2), dies=True)
    assert content(found)["results"] == 1
    asyncio.run(seal_if_due(found.world, found.tree, SPEC))
    assert content(found)["results"] == 2
    result = check(found)
    assert (result.faults, result.is_past) == ((), False)
    tracker = found.tracker()
    assert (tracker.last_at, tracker.released) == (13.0, 3)
    before = [path.read_bytes() for path in segments(FILES, found.tree)]
    asyncio.run(seal_if_due(found.world, found.tree, SPEC))
    assert [path.read_bytes() for path in segments(FILES, found.tree)] == before


def cut(said: dict[str, Any]) -> None:
    said["ledger"]["chain"] = said["ledger"]["chain"][:-1] + "x"


TAMPERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "root": lambda said: said.update(root="0" * 64),
    "results": lambda said: said.update(results=99),
    "counts": lambda said: said["counts"].update(sealed=99),
    "status": lambda said: said.update(status="complete"),
    "closed_at": lambda said: said.update(closed_at="2020-01-01T00:00:00.000+00:00"),
    "sweep_id": lambda said: said.update(sweep_id="other"),
    "config_digest": lambda said: said.update(config_digest="0" * 64),
    "more": lambda said: said.update(more="words"),
    "less": lambda said: said.pop("status"),
    "chain": lambda said: said["ledger"].update(chain="0" * 32),
    "seq": lambda said: said["ledger"].update(seq=3),
    "offset": lambda said: said["ledger"].update(offset=3),
    "segment": lambda said: said["ledger"].update(segment="000009-0001.hsl"),
    "leads out": lambda said: said["ledger"].update(segment="../ledger/000001-0001.hsl"),
    "no hexadecimal": cut,
    "format": lambda said: said.update(format=2),
    "no ledger": lambda said: said.pop("ledger"),
}


@pytest.fixture(scope="module")
def failed_sweep(tmp_path_factory: pytest.TempPathFactory) -> Resting:
    return resting(tmp_path_factory.mktemp("sealed"), 3, failed=[2])


@pytest.mark.parametrize("name", TAMPERED)
def test_whoever_changes_the_seal_is_found(failed_sweep: Resting, name: str) -> None:
    """Every word of it follows from the ledger."""
    path, text = failed_sweep.tree.seal, failed_sweep.tree.seal.read_text()
    said = json.loads(text)
    TAMPERED[name](said)
    path.write_text(json.dumps(said))
    try:
        assert check(failed_sweep).faults
        path.write_text(text)
        assert not check(failed_sweep).faults
    finally:
        path.write_text(text)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}', "[" * 100_000, "\ud800"])
def test_a_seal_that_cannot_be_read_is_a_fault(failed_sweep: Resting, text: str) -> None:
    """Whatever stands there instead."""
    path, before = failed_sweep.tree.seal, failed_sweep.tree.seal.read_bytes()
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        (fault,) = check(failed_sweep).faults
        assert fault.startswith("SEAL.json: ")
        path.unlink()
        (fault,) = check(failed_sweep).faults
        assert "missing" in fault
        assert read_seal(FILES, failed_sweep.tree) is None
    finally:
        path.write_bytes(before)


def test_whoever_writes_the_ledger_anew_without_the_seal_is_found(tmp_path: Path) -> None:
    """Another history of the same sweep, whole in itself, has another chain: a published head tells."""
    found = resting(tmp_path / "a", 3)
    other = resting(tmp_path / "b", 3, failed=[2])
    for old in segments(FILES, found.tree):
        old.unlink()
    for path in segments(FILES, other.tree):
        (found.tree.ledger / path.name).write_bytes(path.read_bytes())
    assert any("no such chain" in fault for fault in check(found).faults)
    assert any("no seal with the root" in fault for fault in check(found).faults)


def grid(folder: Path, tasks: int) -> SweepState:
    state = SweepState(SPEC)
    state.hunt_ended = True
    name, _ = write_plan(FILES, folder, (Proposal(params={"k": k}) for k in range(tasks)), "p")
    state.tasks.add(load_plan(FILES, folder, name, generation=1), generation=1)
    for index in range(1, tasks + 1):
        attempt = Attempt(number=1, token="t", source="local", state=AttemptState.SEALED, manifest="m" * 64)
        task = replace(state.tasks.get(index), status=TaskStatus.SEALED, attempts=(attempt,))
        state.tasks.put(task)
    state.counts[TaskStatus.SEALED] = tasks
    return state


def test_sealing_many_results_takes_no_time_that_counts(tmp_path: Path) -> None:
    """10^4 results in well under a tenth of the second that 10^5 may take, with room for a busy machine."""
    state = grid(tmp_path, 10_000)
    began = time.process_time()
    seal = sealed(state, 1.0)
    assert time.process_time() - began < 0.3
    assert seal is not None
    assert (seal.status, seal.results) == (SweepStatus.COMPLETE, 10_000)


def test_a_reused_task_has_no_leaf_of_its_own(tmp_path: Path) -> None:
    """Its work is that of another task, which has one."""
    state = grid(tmp_path, 2)
    state.tasks.put(replace(state.tasks.get(2), status=TaskStatus.REUSED, attempts=(), reuses=1))
    assert [line.split()[0] for line in leaves(state)] == [b"task_0001"]
