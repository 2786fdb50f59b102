"""The agent's program as one file: the same bytes for the same sources, and all that it needs."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hsm.compute.ssh.shipping import PARENTS, STORE, agent_program


def test_its_bytes_depend_on_nothing_but_the_sources() -> None:
    """Built twice, at other times, with another umask, it is the same."""
    first = agent_program()
    agent_program.cache_clear()
    before = os.umask(0o077)
    try:
        assert agent_program() == first
    finally:
        os.umask(before)
    with zipfile.ZipFile(io.BytesIO(first.data)) as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == sorted(member.filename for member in members)
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}


def test_it_holds_the_travelling_code_and_nothing_else(project_root: Path) -> None:
    """Wire and agent as they are; of the packages above them, only the names."""
    with zipfile.ZipFile(io.BytesIO(agent_program().data)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held.pop("__main__.py")
    assert all(held.pop(name) == b"" for name in PARENTS)
    sources = [project_root / "hsm/_version.py"]
    for folder in ("hsm/wire", "hsm/compute/agent"):
        sources += (project_root / folder).rglob("*.py")
    assert held == {str(path.relative_to(project_root)): path.read_bytes() for path in sources}


def store(path: Path, digest: str, data: bytes) -> "subprocess.CompletedProcess[bytes]":
    """Do what is done on a host."""
    argv = [sys.executable, "-I", "-c", STORE, str(path), digest]
    return subprocess.run(argv, check=False, capture_output=True, input=data)


@pytest.mark.parametrize("there", [b"", b"half", None])
def test_it_is_stored_whole_or_not_at_all(tmp_path: Path, there: bytes | None) -> None:
    """In place of what is there and is not it; what was cut on the way is not stored."""
    path, data = tmp_path / "agents/x/it", b"the program"
    digest = hashlib.sha256(data).hexdigest()
    if there is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(there)
    cut = store(path, digest, data[:-1])
    assert cut.returncode == 1
    assert b"what came is not what was sent: 10 bytes" in cut.stderr
    assert (path.read_bytes() if path.exists() else None) == there
    assert store(path, digest, data).stdout == b"stored\n"
    assert store(path, digest, data).stdout == b"kept\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["it"]
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o600
