"""Plans: what was proposed can be read back, under a name that says whether it is still the same."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm.core.errors import Fenced, LedgerCorrupt
from hsm.core.model import Proposal
from hsm.core.plan import BUFFER_LINES, read_plan, write_plan
from hsm.wire import hashing
from hsm.wire.canonical import NotCanonical, canonical_json
from hsm.wire.files import Files
from tests.unit.wire.faulty import FaultyFiles

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).map(
    lambda text: unicodedata.normalize("NFC", text)
)
values = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | texts | st.lists(texts, max_size=2)
)
proposals = st.lists(
    st.builds(
        Proposal,
        params=st.dictionaries(texts, values, max_size=3),
        seed=st.integers(0, 99),
        label=st.sampled_from(["", "explore", 'a"b', ',"params":']),
    ),
    max_size=5,
)


@given(proposals)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_reads_as_it_was_written(tmp_path: Path, proposed: list[Proposal]) -> None:
    """Every task comes back with parameters, identity, seed and label, in order."""
    name, count = write_plan(Files(), tmp_path, proposed, "program")
    tasks = list(read_plan(Files(), tmp_path, name, generation=3, first=11))
    assert count == len(tasks) == len(proposed)
    for index, (task, proposal) in enumerate(zip(tasks, proposed, strict=True), 11):
        config_hash = hashing.config_hash(dict(proposal.params))
        assert (task.index, task.generation, task.seed, task.label) == (
            index,
            3,
            proposal.seed,
            proposal.label,
        )
        assert task.params_json == canonical_json(dict(proposal.params))
        assert task.config_hash == config_hash
        assert task.task_key == hashing.task_key(config_hash, proposal.seed, "program")


def plan(root: Path, *params: dict[str, Any]) -> Path:
    name, _ = write_plan(Files(), root, [Proposal(params=item) for item in params], "program")
    return root / f"{name}.jsonl"


def test_a_plan_is_named_after_its_content(tmp_path: Path) -> None:
    """Equal proposals make one file, others another; nothing else lies about."""
    first = plan(tmp_path, {"k": 1})
    assert plan(tmp_path, {"k": 1}) == first
    assert plan(tmp_path, {"k": 2}) != first
    assert first.stem == hashing.sha256_hex(first.read_bytes())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_plan_can_be_larger_than_its_buffer(tmp_path: Path) -> None:
    """Lines are written in portions, none is lost between them, and they may come from a generator."""
    count = 2 * BUFFER_LINES + 3
    name, written = write_plan(Files(), tmp_path, (Proposal(params={"k": k}) for k in range(count)), "p")
    assert written == count
    tasks = list(read_plan(Files(), tmp_path, name, generation=1, first=1))
    assert [json.loads(task.params_json)["k"] for task in tasks] == list(range(count))


def consume(path: Path) -> None:
    list(read_plan(Files(), path.parent, path.stem, generation=1, first=1))


def test_any_damage_of_a_plan_is_refused(tmp_path: Path) -> None:
    """Every flipped bit, every cut, an added line: the name no longer agrees."""
    path = plan(tmp_path, {"k": 1}, {"k": 2})
    whole = path.read_bytes()
    damaged = [whole[:cut] for cut in range(0, len(whole), 7)] + [whole + whole, whole + b"\n"]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for at in range(0, len(whole), 5)
        for bit in (0, 4, 7)
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(LedgerCorrupt, match=path.name):
            consume(path)
    path.write_bytes(whole)
    consume(path)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    """The error says which generation lacks its plan."""
    with pytest.raises(LedgerCorrupt, match="the plan of generation 1 is missing"):
        consume(tmp_path / f"{'0' * 64}.jsonl")


def test_a_plan_that_cannot_be_written_is_not_there(tmp_path: Path) -> None:
    """A full disk or a value without a canonical form leaves no plan, and the next one is written."""
    files = FaultyFiles()
    files.room = 20
    with pytest.raises(OSError, match="No space"):
        write_plan(files, tmp_path, [Proposal(params={"k": 1})], "p")
    with pytest.raises(NotCanonical):
        write_plan(Files(), tmp_path, [Proposal(params={"k": float("nan")})], "p")
    assert not list(tmp_path.glob("*.jsonl"))
    consume(plan(tmp_path, {"k": 1}))


def during(tmp_path: Path, k: int, *, epoch: int) -> Iterator[Proposal]:
    """Yield proposals between which an engine of some epoch writes a plan of its own."""
    yield Proposal(params={"k": 1})
    write_plan(Files(), tmp_path, [Proposal(params={"k": k})], "p", epoch=epoch)
    yield Proposal(params={"k": 2})


def test_a_superseded_engine_that_plans_does_not_disturb_the_newer_one(tmp_path: Path) -> None:
    """Each has a draft of its own, so the newer plan has the content that its name says."""
    name, count = write_plan(Files(), tmp_path, during(tmp_path, 7, epoch=2), "p", epoch=3)
    read = read_plan(Files(), tmp_path, name, generation=1, first=0)
    assert [task.params_json for task in read] == [canonical_json({"k": k}) for k in (1, 2)]
    assert count == 2


def test_an_engine_that_was_superseded_while_it_planned_is_fenced(tmp_path: Path) -> None:
    """The newer one has removed its draft, and nothing of it is left."""
    with pytest.raises(Fenced, match="took this sweep over"):
        write_plan(Files(), tmp_path, during(tmp_path, 7, epoch=4), "p", epoch=3)
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
