"""What the doctor finds, and that it leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from email.message import Message
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm.cli.doctor import filesystem, parts
from hsm.cli.doctor.filesystem import Mount, mount_of, verdict
from hsm.cli.main import main
from hsm.core.source import Health
from hsm.core.world import World


class Skewed(World):
    """A world whose clock is two minutes behind that of the file system."""

    def now(self) -> float:
        return super().now() - 120


def probed(path: Path, world: World | None = None) -> dict[str, Any]:
    """Return the findings about a directory by name."""
    return {finding.name: finding for finding in filesystem.probe(world or World(), path)}


def test_a_good_file_system_passes_and_is_left_clean(tmp_path: Path) -> None:
    """Every probe has a finding, none fails, and nothing is left; the directory need not exist yet."""
    found = probed(tmp_path / "sweeps" / "outputs")
    assert {"writable", "O_EXCL", "rename", "fsync", "flock", "clock", "space", "inodes"} <= set(found)
    failed = [finding for finding in found.values() if finding.health is Health.FAIL]
    assert failed == []
    assert list(tmp_path.iterdir()) == []


def test_locks_that_do_not_exclude_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that grants every lock is found out, and the fix is named."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    finding = probed(tmp_path)["flock"]
    assert (finding.health, "another file system" in finding.fix) == (Health.FAIL, True)


def test_what_the_system_refuses_is_a_failure_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of one probe does not keep the others from being tried."""

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    found = probed(tmp_path)
    assert (found["fsync"].health, found["fsync"].detail) == (Health.FAIL, "Input/output error")
    assert found["flock"].health is Health.PASS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "health"), [(1 << 20, Health.FAIL), (1 << 30, Health.WARN), (1 << 40, Health.PASS)]
)
def test_room_is_judged_by_bytes_and_by_inodes(
    free: int, health: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little room warns, next to none fails, each with the fix."""
    inodes = {Health.FAIL: 10, Health.WARN: 5_000, Health.PASS: 10_000_000}[health]
    numbers = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=1, f_favail=inodes)
    monkeypatch.setattr(os, "statvfs", lambda _: numbers)
    found = probed(tmp_path)
    assert (found["space"].health, found["inodes"].health) == (health, health)
    assert bool(found["inodes"].fix) is (health is not Health.PASS)


def test_no_hard_links_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HSM can do without them, and says how."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert probed(tmp_path)["hard links"].health is Health.WARN


def test_a_clock_that_differs_is_found(tmp_path: Path) -> None:
    """Two minutes between this machine and its file server are a failure."""
    finding = probed(tmp_path, Skewed())["clock"]
    assert finding.health is Health.FAIL
    assert finding.detail.startswith("+1")


@pytest.mark.parametrize(
    ("kind", "options", "health"),
    [
        ("ext4", ("rw",), Health.PASS),
        ("nfs4", ("rw", "hard"), Health.PASS),
        ("nfs", ("rw", "soft"), Health.FAIL),
        ("nfs", ("rw", "nolock"), Health.WARN),
        ("lustre", ("rw", "localflock"), Health.WARN),
        ("tmpfs", ("rw",), Health.WARN),
        ("overlay", ("rw",), Health.WARN),
        ("fuse.rclone", ("rw",), Health.FAIL),
    ],
)
def test_a_type_of_file_system_is_judged(kind: str, options: tuple[str, ...], health: Health) -> None:
    """Soft mounts and cloud folders fail, loose locks and volatile memory warn, each with a fix."""
    finding = verdict(Mount(kind=kind, options=options))
    assert finding.health is health
    assert bool(finding.fix) is (health is not Health.PASS)


def test_the_mount_of_a_directory_is_the_deepest_one() -> None:
    """Options of the mount and of the file system are both known; blanks in names are read."""
    text = (
        "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /my\\040home rw - nfs4 server:/x rw,soft\n"
        "broken line\n"
    )
    assert mount_of(Path("/my home/me"), text) == Mount(kind="nfs4", options=("rw", "rw", "soft"))
    deep = mount_of(Path("/var"), text)
    assert deep is not None
    assert deep.kind == "ext4"


def test_a_broken_plugin_is_a_warning_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is not there is seen without an import, one that fails only with --deep."""
    points = [
        metadata.EntryPoint("ghost", "hsm_no_such_module:hunter", "hsm.hunters"),
        metadata.EntryPoint("odd", "json:nothing_here", "hsm.hunters"),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: points if group == "hsm.hunters" else [])
    shallow = {finding.name: finding for finding in parts.plugins(deep=False)}
    assert shallow["hsm.hunters ghost"].health is Health.WARN
    assert "hsm_no_such_module" in shallow["hsm.hunters ghost"].detail
    assert shallow["hsm.hunters odd"].health is Health.PASS
    deep = {finding.name: finding for finding in parts.plugins(deep=True)}
    assert "AttributeError" in deep["hsm.hunters odd"].detail


def test_broken_settings_fail_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are a finding with place and fix among the others, and the exit code is 1."""
    (tmp_path / "hsm.yaml").write_text("timeout: 5\n")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["health"] == "fail"
    (failed,) = [finding for finding in data["findings"] if finding["health"] == "fail"]
    assert failed["name"].endswith("hsm.yaml:1:10")
    assert failed["fix"] == "add the unit: 5s or 5m"
    assert [path.name for path in tmp_path.iterdir()] == ["hsm.yaml"]


def test_the_doctor_groups_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each area has a heading, each check a line, and the sum goes to stderr."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--source", "local:1"]) == 0
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if not line.startswith(" ")][:2] == ["python", "file system"]
    assert "source local:1" in out
    assert "checks" in err


def test_a_source_that_cannot_be_had_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What else was found is told all the same."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--source", "lokal:2", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["data"]["findings"]
    (failed,) = [finding for finding in findings if finding["health"] == "fail"]
    assert (failed["area"], failed["fix"]) == ("source lokal:2", "did you mean `local`?")
    assert len(findings) > 15


@pytest.mark.parametrize(
    ("code", "out", "err", "health", "detail"),
    [
        (0, b"TFRT_CPU_0\nTFRT_CPU_1\n", b"", Health.PASS, "TFRT_CPU_0, TFRT_CPU_1"),
        (1, b"", b"Traceback\nModuleNotFoundError: No module named 'jax'\n", Health.WARN, "ModuleNotFound"),
        (-9, b"", b"", Health.WARN, "jax failed"),
    ],
)
def test_devices_are_asked_for_in_another_process(
    code: int, out: bytes, err: bytes, health: Health, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that process says is told; one that fails or dies is a warning, not the end."""
    done = subprocess.CompletedProcess([], code, out, err)
    monkeypatch.setattr(World, "run", lambda *_, **__: done)
    (finding,) = parts.devices()
    assert finding.health is health
    assert detail in finding.detail


def test_an_optional_part_that_lacks_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with that; the line says what it is for and how to get it."""
    wanted = ["click>=8", 'hsm-no-such-thing>=1; extra == "hunt"', 'click; extra == "ssh"']
    monkeypatch.setattr(metadata, "requires", lambda _: wanted)
    message = Message()
    for extra in ("hunt", "ssh"):
        message["Provides-Extra"] = extra
    monkeypatch.setattr(metadata, "metadata", lambda _: message)
    found = {finding.name: finding for finding in parts.extras()}
    assert "not installed: hsm-no-such-thing" in found["hunt"].detail
    assert "pip install 'hsm[hunt]'" in found["hunt"].detail
    assert found["ssh"].detail.startswith("installed")
    assert {finding.health for finding in found.values()} == {Health.PASS}
