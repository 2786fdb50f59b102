"""Finding sweeps by path, id, beginning or `last`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from random import Random

import pytest

from hsm.core.errors import SweepError
from hsm.core.storage import create_tree
from hsm.core.tree import Sweeps, SweepTree, new_sweep_id
from hsm.wire.files import Files
from hsm.wire.names import SWEEP_ID

IDS = ["zeta-20260101-000000-aaaa", "heat-20260102-000000-aaaa", "heat-2-20260102-000001-bbbb"]


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    outputs = tmp_path / "outputs"
    for sweep_id in IDS:
        create_tree(Files(), SweepTree(outputs / sweep_id))
    (outputs / "no-sweep").mkdir()
    (outputs / "file").write_text("x")
    return Sweeps(outputs, Files())


def test_sweeps_are_listed_by_age(sweeps: Sweeps) -> None:
    """By the time in the id, not by name; what is no sweep is left out."""
    assert [tree.sweep_id for tree in sweeps.all()] == IDS


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (IDS[0], 0), (IDS[1], 1), ("zeta", 0), ("heat-2-", 2), ("last", 2), ("@", 2), ("heat-20260102", 1),
    ],
)  # fmt: skip
def test_a_sweep_is_found_by_id_beginning_or_last(sweeps: Sweeps, reference: str, found: int) -> None:
    """Whatever names exactly one."""
    assert sweeps.find(reference).sweep_id == IDS[found]


def test_a_sweep_is_found_by_its_path(sweeps: Sweeps, tmp_path: Path) -> None:
    """Wherever it lies, also through a link."""
    link = tmp_path / "link"
    link.symlink_to(sweeps.outputs / IDS[0])
    assert sweeps.find(str(link)) == SweepTree((sweeps.outputs / IDS[0]).resolve())
    assert Sweeps(tmp_path / "nowhere", Files()).find(str(sweeps.outputs / IDS[1])).sweep_id == IDS[1]


@pytest.mark.parametrize(
    "reference", ["cold", "", "heat-9", "../outputs", "\0", "x" * 5000, "file", "no-sweep"]
)
def test_what_names_none_is_said(sweeps: Sweeps, reference: str) -> None:
    """With the command that shows what there is."""
    with pytest.raises(SweepError, match=r"there is no sweep|names no sweep"):
        sweeps.find(reference)


@pytest.mark.parametrize(("reference", "meant"), [("haet", IDS[2]), ("zetta", IDS[0])])
def test_what_is_misspelt_is_guessed(sweeps: Sweeps, reference: str, meant: str) -> None:
    """The newest sweep that the word may have meant is named."""
    with pytest.raises(SweepError) as refused:
        sweeps.find(reference)
    assert refused.value.hint == f"did you mean {meant}?"


def test_what_names_several_is_said(sweeps: Sweeps) -> None:
    """With their ids."""
    with pytest.raises(SweepError, match="begins 2 sweeps") as refused:
        sweeps.find("heat")
    assert IDS[1] in refused.value.message
    assert IDS[2] in refused.value.message


def test_a_project_without_sweeps_says_how_to_begin(tmp_path: Path) -> None:
    """The hint is the command."""
    with pytest.raises(SweepError) as refused:
        Sweeps(tmp_path / "none", Files()).find("last")
    assert "hsm sweep run" in refused.value.hint


def test_a_new_id_is_a_safe_name_and_says_when() -> None:
    """Name, date and time in UTC, four random characters that cannot be mistaken for each other."""
    found = new_sweep_id("heat", 1_900_000_000.0, Random(1))
    assert re.fullmatch(r"heat-20300317-174640-[a-km-np-z2-9]{4}", found)
    assert SWEEP_ID.fullmatch(found)
    assert found != new_sweep_id("heat", 1_900_000_000.0, Random(2))


def test_of_two_sweeps_of_one_second_the_later_one_is_last(tmp_path: Path) -> None:
    """The random letters of an id say nothing about age."""
    for age, letters in ((1, "zzzz"), (2, "aaaa")):
        path = tmp_path / f"heat-20260101-000000-{letters}" / ".hsm" / "FORMAT"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        os.utime(path, ns=(age * 10**9, age * 10**9))
    assert Sweeps(tmp_path, Files()).find("last").sweep_id.endswith("aaaa")
