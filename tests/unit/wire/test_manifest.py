"""The manifest: what an attempt left, byte for byte, and nothing from elsewhere."""

import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex

CONTENT = {
    "params.yaml": b"k: 1\n",
    "stdout.log": b"",
    "metrics.json": b'{"f": 1.0}',
    "results/field.bin": bytes(range(256)) * 8,
    "results/deep/er/note.txt": b"hello",
    "results/näme with space.txt": b"x",
}


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    directory = tmp_path / "task_0001.1-aaaaaaaa"
    for path, data in CONTENT.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return directory


def listed(directory: Path) -> list[dict[str, Any]]:
    """Return what the manifest of a directory lists."""
    entries = manifest.build(Files(), str(directory), manifest.find(Files(), str(directory)))
    return [entry._asdict() for entry in entries]


def report_of(directory: Path, artifacts: list[Any], **more: Any) -> str:
    """Write a provenance report with this manifest, and return its hash."""
    report = json.dumps({**more, "artifacts": artifacts}).encode()
    (directory / manifest.REPORT).write_bytes(report)
    return sha256_hex(report)


def sealed(directory: Path) -> str:
    """Write the provenance report as the agent does, and return its hash."""
    return report_of(directory, listed(directory))


def check(directory: Path, digest: str) -> manifest.Mismatch | None:
    found = manifest.verify(Files(), str(directory), digest)
    return found if isinstance(found, manifest.Mismatch) else None


def test_a_manifest_lists_every_file_with_size_and_hash(attempt: Path) -> None:
    """Sorted by path; the report itself and the manager's status are left out."""
    (attempt / "status.yaml").write_text("status: running\n")
    parts = sealed(attempt)
    expected = [(path, len(data), sha256_hex(data)) for path, data in sorted(CONTENT.items())]
    found = manifest.verify(Files(), str(attempt), parts)
    assert isinstance(found, manifest.Listed)
    assert found.entries == expected
    assert check(attempt, parts) is None
    (attempt / "status.yaml").write_text("status: sealed\n")
    assert check(attempt, parts) is None


@pytest.mark.parametrize("path", [path for path, data in CONTENT.items() if data])
def test_any_changed_byte_is_found(attempt: Path, path: str) -> None:
    """First, middle or last: one flipped bit is enough."""
    parts = sealed(attempt)
    data = CONTENT[path]
    for place in {0, len(data) // 2, len(data) - 1}:
        damaged = bytearray(data)
        damaged[place] ^= 1
        (attempt / path).write_bytes(damaged)
        assert check(attempt, parts) == manifest.Mismatch(path, "its content has changed")
    (attempt / path).write_bytes(data)
    assert check(attempt, parts) is None


@pytest.mark.parametrize("path", list(CONTENT))
def test_any_change_of_size_or_kind_is_found(attempt: Path, path: str, tmp_path: Path) -> None:
    """Longer, shorter, gone, a link to the same bytes, a directory: each is a mismatch of that file."""
    parts = sealed(attempt)
    target, data, copy = attempt / path, CONTENT[path], tmp_path / "copy"
    copy.write_bytes(data)

    def found() -> str:
        mismatch = check(attempt, parts)
        assert mismatch is not None
        assert mismatch.path == path
        return mismatch.reason

    target.write_bytes(data + b"x")
    assert f"{len(data) + 1} bytes where the manifest has {len(data)}" in found()
    if data:
        target.write_bytes(data[:-1])
        assert f"{len(data) - 1} bytes" in found()
    target.unlink()
    assert found() == "it is missing"
    target.symlink_to(copy)
    assert found() == "it has become a symbolic link"
    target.unlink()
    os.mkfifo(target)
    assert found() == "not a regular file"
    target.unlink()
    target.mkdir()
    assert found()


def test_a_changed_report_is_found(attempt: Path) -> None:
    """The exit record's one digest covers the list, and with it every byte."""
    digest = sealed(attempt)
    with (attempt / manifest.REPORT).open("ab") as file:
        file.write(b" ")
    mismatch = check(attempt, digest)
    assert mismatch is not None
    assert mismatch.path == manifest.REPORT


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "",
        ".",
        "a//b",
        "a/./b",
        "a\0b",
        "x" * 256,
        "a/" * 600 + "b",
        "\ud800",
        "a/",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(attempt: Path, path: str) -> None:
    """Nothing is even opened for it."""
    entry = {"path": path, "size": 0, "sha256": ""}
    mismatch = check(attempt, report_of(attempt, [*listed(attempt), entry]))
    assert mismatch is not None
    assert "leads out" in mismatch.reason
    assert mismatch.path.isascii()


def test_a_directory_that_became_a_link_is_found(attempt: Path, tmp_path: Path) -> None:
    """The same bytes behind a link are not the attempt's own artifacts."""
    parts = sealed(attempt)
    (attempt / "results").rename(tmp_path / "elsewhere")
    (attempt / "results").symlink_to(tmp_path / "elsewhere")
    mismatch = check(attempt, parts)
    assert mismatch is not None
    assert mismatch.path.startswith("results/")


def test_links_are_recorded_and_never_followed(attempt: Path) -> None:
    """A link out of the tree, a loop, a dangling one: three names, no content."""
    for name, target in {"out": "/etc", "loop": ".", "gone": "nowhere"}.items():
        (attempt / name).symlink_to(target)
    found = manifest.find(Files(), str(attempt))
    assert found.links == {"gone": "nowhere", "loop": ".", "out": "/etc"}
    assert sorted(found.sizes) == sorted(CONTENT)
    assert found.bytes == sum(map(len, CONTENT.values()))


def test_what_is_no_file_and_what_no_machine_could_take_is_ignored_by_name(attempt: Path) -> None:
    """A pipe, a socket and a name that is not UTF-8 are listed, not read."""
    os.mkfifo(attempt / "pipe")
    (attempt / os.fsdecode(b"bad-\xff")).write_bytes(b"x")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(attempt)  # the path of a socket is short
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
    found = manifest.find(Files(), str(attempt))
    assert found.ignored == ["'bad-\\udcff'", "pipe", "sock"]
    assert sorted(found.sizes) == sorted(CONTENT)


def test_hashing_does_not_follow_a_link(attempt: Path) -> None:
    """A file that became a link between the walk and the hashing is an error, not the target's hash."""
    found = manifest.find(Files(), str(attempt))
    (attempt / "params.yaml").unlink()
    (attempt / "params.yaml").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        manifest.build(Files(), str(attempt), found)


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_a_safe_path_stays_inside(path: str) -> None:
    """Whatever is_safe lets through resolves to a place beneath the directory."""
    if manifest.is_safe(path):
        normal = os.path.normpath(f"/attempt/{path}")
        assert normal == "/attempt/" + path
        os.fsencode(path)


def is_read_only(path: Path) -> bool:
    return not path.stat().st_mode & 0o222


def test_what_is_verified_is_read_only_from_then_on(attempt: Path, tmp_path: Path) -> None:
    """The report and all that it lists, the right to execute kept; not what else is there, no directory."""
    (attempt / "results" / "run.sh").write_text("true\n")
    (attempt / "results" / "run.sh").chmod(0o755)
    (tmp_path / "data.bin").write_bytes(b"a data set that the program linked in")
    (attempt / "results" / "data.bin").hardlink_to(tmp_path / "data.bin")
    digest = sealed(attempt)
    (attempt / "status.yaml").write_text("status: sealed\n")
    (attempt / "notes.txt").write_text("the user's own")
    assert check(attempt, digest) is None
    for path in (*CONTENT, manifest.REPORT, "results/run.sh"):
        assert is_read_only(attempt / path), path
    assert (attempt / "results" / "run.sh").stat().st_mode & 0o777 == 0o555
    for path in ("status.yaml", "notes.txt", "results", "results/deep"):
        assert not is_read_only(attempt / path), path
    assert not is_read_only(tmp_path / "data.bin"), "it belongs to somebody else too"
    assert check(attempt, digest) is None


def test_a_file_that_cannot_be_protected_is_verified_all_the_same(
    attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems without permissions, files of another owner."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    digest = sealed(attempt)
    monkeypatch.setattr("os.fchmod", refuse)
    assert check(attempt, digest) is None
    assert not is_read_only(attempt / "metrics.json")


@pytest.mark.parametrize("path", ["results/field.bin", manifest.REPORT, "status.yaml"])
def test_a_manifest_that_lists_a_file_twice_or_its_own_report_is_refused(attempt: Path, path: str) -> None:
    """One path, one digest; what lies outside of every manifest is in none."""
    artifacts = listed(attempt)
    if path not in CONTENT:
        (attempt / path).write_bytes(b"x")
    mismatch = check(
        attempt, report_of(attempt, [*artifacts, {"path": path, "size": 1, "sha256": sha256_hex(b"x")}])
    )
    assert mismatch is not None
    assert mismatch.path == path
    assert "manifest" in mismatch.reason


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "metrics.json", "size": "10", "sha256": ""},
        {"path": "metrics.json", "size": True, "sha256": ""},
        {"path": "metrics.json", "size": 10.0, "sha256": ""},
        {"path": "metrics.json", "size": 10, "sha256": None},
        {"path": ["metrics.json"], "size": 10, "sha256": ""},
        {"path": "metrics.json"},
        "metrics.json",
        None,
    ],
)
def test_an_entry_of_other_types_makes_the_report_unreadable(attempt: Path, entry: Any) -> None:
    """A size that is no whole number could lie about what was counted."""
    mismatch = check(attempt, report_of(attempt, [entry]))
    assert mismatch is not None
    assert mismatch.path == manifest.REPORT


@pytest.mark.parametrize("size", [0, 9, 11, -1, 1 << 70])
def test_a_size_that_lies_is_found(attempt: Path, size: int) -> None:
    """However right the digest is."""
    artifacts = listed(attempt)
    (entry,) = (item for item in artifacts if item["path"] == "metrics.json")
    entry["size"] = size
    mismatch = check(attempt, report_of(attempt, artifacts))
    assert mismatch is not None
    assert f"10 bytes where the manifest has {size}" in mismatch.reason


@pytest.mark.parametrize("kind", ["pipe", "socket", "link", "device", "directory", "deep", "gone"])
def test_a_report_that_is_no_readable_file_is_said_and_not_waited_for(
    attempt: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe would wait for ever, `/dev/zero` would never end, deep nesting would end the engine."""
    digest = sealed(attempt)
    report = attempt / manifest.REPORT
    report.rename(tmp_path / "real.json")
    if kind == "pipe":
        os.mkfifo(report)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as ear:
            monkeypatch.chdir(attempt)  # a socket's path is short
            ear.bind(manifest.REPORT)
    elif kind in ("link", "device"):
        report.symlink_to(tmp_path / "real.json" if kind == "link" else "/dev/zero")
    elif kind == "directory":
        report.mkdir()
    elif kind == "deep":
        report.write_bytes(b"[" * 200_000)
        digest = sha256_hex(b"[" * 200_000)
    mismatch = check(attempt, digest)
    assert mismatch is not None
    assert mismatch.path == manifest.REPORT
    assert mismatch.is_missing == (kind == "gone")


def test_names_that_clash_elsewhere_are_two_files_here(attempt: Path) -> None:
    """Case and normal form make no difference between digests: each name is read for itself."""
    names = ["a.txt", "A.txt", "\u00e9.txt", "e\u0301.txt"]
    for name in names:
        (attempt / name).write_text(name)
    if len({(attempt / name).stat().st_ino for name in names}) < len(names):
        pytest.skip("THIS FILE SYSTEM TAKES SOME OF THE NAMES FOR ONE")
    digest = sealed(attempt)
    assert check(attempt, digest) is None
    (attempt / "A.txt").write_text("a.txt")
    mismatch = check(attempt, digest)
    assert mismatch is not None
    assert mismatch.path == "A.txt"


def test_every_mismatch_is_told_not_only_the_first(attempt: Path) -> None:
    """Who verifies what is at rest wants them all, and what is missing apart from what is damaged."""
    digest = sealed(attempt)
    (attempt / "metrics.json").write_bytes(b'{"f": 2.0}')
    (attempt / "params.yaml").unlink()
    listed_ = manifest.read(Files(), str(attempt), digest)
    assert isinstance(listed_, manifest.Listed)
    found = list(manifest.mismatches(Files(), str(attempt), listed_.entries))
    assert [(item.path, item.is_missing) for item in found] == [
        ("metrics.json", False),
        ("params.yaml", True),
    ]
    assert not is_read_only(attempt / "metrics.json"), "looking changes nothing"
