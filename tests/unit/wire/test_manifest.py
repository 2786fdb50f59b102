"""The manifest: what an attempt left, byte for byte, and nothing from elsewhere."""

import json
import os
import socket
from pathlib import Path

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


def sealed(directory: Path) -> tuple[str, bytes, list[dict]]:
    """Return what the collector gets: the report's hash, the report, its list of artifacts."""
    entries = manifest.build(Files(), str(directory), manifest.find(Files(), str(directory)))
    artifacts = [entry._asdict() for entry in entries]
    report = json.dumps({"artifacts": artifacts}).encode()
    (directory / manifest.REPORT).write_bytes(report)
    return sha256_hex(report), report, artifacts


def check(directory: Path, parts: tuple[str, bytes, list[dict]]) -> manifest.Mismatch | None:
    return manifest.verify(Files(), str(directory), *parts)


def test_a_manifest_lists_every_file_with_size_and_hash(attempt: Path) -> None:
    """Sorted by path; the report itself and the manager's status are left out."""
    (attempt / "status.yaml").write_text("status: running\n")
    parts = sealed(attempt)
    assert [(item["path"], item["size"], item["sha256"]) for item in parts[2]] == [
        (path, len(data), sha256_hex(data)) for path, data in sorted(CONTENT.items())
    ]
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
    assert found() == "No such file or directory"
    target.symlink_to(copy)
    assert found()
    target.unlink()
    target.mkdir()
    assert found()


def test_a_changed_report_is_found(attempt: Path) -> None:
    """The exit record's one digest covers the list, and with it every byte."""
    digest, report, artifacts = sealed(attempt)
    mismatch = manifest.verify(Files(), str(attempt), digest, report + b" ", artifacts)
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
    digest, report, artifacts = sealed(attempt)
    mismatch = manifest.verify(
        Files(), str(attempt), digest, report, [*artifacts, {"path": path, "size": 0, "sha256": ""}]
    )
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
