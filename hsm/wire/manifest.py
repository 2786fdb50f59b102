"""The manifest of an attempt: every file that it left, with size and SHA-256.

Built where the attempt ran, checked at home.
The manifest is the `artifacts` list of `provenance.json`; the exit record holds the SHA-256 of that file,
so one digest covers every byte. `status.yaml` is the manager's and lies outside of it.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Set

from hsm.wire import hdf5
from hsm.wire.files import Files, Kind, Name
from hsm.wire.hashing import EMPTY_SHA256, sha256_hex

REPORT = "provenance.json"
NO_FILES = EMPTY_SHA256
"""The digest of an empty report: the attempt left no files anywhere, its source keeps none."""
OUTSIDE = frozenset({REPORT, "status.yaml"})
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,9}")
MAX_PATH_BYTES = 1024


class Entry(NamedTuple):
    """One file of an attempt; `path` is relative, with forward slashes."""

    path: str
    size: int
    sha256: str


class Found(NamedTuple):
    """What a walk through an attempt's directory found, sorted by path.

    `links` are symbolic links (recorded, never followed), `ignored` names that are no regular files or
    that no other machine could take, `reserved` those that are there and lie outside of the manifest.
    """

    sizes: Dict[str, int]
    links: Dict[str, str]
    ignored: List[str]
    reserved: List[str]

    @property
    def bytes(self) -> int:
        """Total size of the regular files."""
        return sum(self.sizes.values())


def find(files: Files, directory: str) -> Found:
    """Walk an attempt's directory without following links."""
    found = Found({}, {}, [], [])
    _walk(files, directory, "", found)
    return Found(
        dict(sorted(found.sizes.items())),
        dict(sorted(found.links.items())),
        sorted(found.ignored),
        sorted(found.reserved),
    )


def _walk(files: Files, directory: str, prefix: str, found: Found) -> None:
    try:
        entries = files.scan(directory)
    except PermissionError:
        if not prefix:
            raise
        found.ignored.append(prefix)
        return
    for entry in entries:
        _note(files, directory, entry, prefix + entry.name, found)


def _note(files: Files, directory: str, entry: Name, path: str, found: Found) -> None:
    if path in OUTSIDE:
        found.reserved.append(path)
    if not is_safe(path):
        found.ignored.append(ascii(path))
    elif entry.kind is Kind.LINK:
        target = os.fsencode(files.read_link(f"{directory}/{entry.name}"))
        found.links[path] = target.decode("utf-8", "backslashreplace")
    elif entry.kind is Kind.DIRECTORY and path not in OUTSIDE:
        _walk(files, f"{directory}/{entry.name}", path + "/", found)
    elif entry.kind is not Kind.FILE:
        found.ignored.append(path)
    elif path not in OUTSIDE:
        found.sizes[path] = entry.length


def is_safe(path: str) -> bool:
    """Tell whether a relative path names a place inside an attempt's directory on any machine."""
    if _PLAIN.fullmatch(path):
        return True
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    parts = path.split("/")
    return (
        0 < len(encoded) <= MAX_PATH_BYTES
        and "\0" not in path
        and all(part not in ("", ".", "..") and len(part.encode("utf-8")) <= 255 for part in parts)
    )


def hash_file(files: Files, directory: str, path: str) -> Entry:
    """Hash one regular file by reading its bytes; links are not followed."""
    sha, size = hashlib.sha256(), 0
    for block in files.chunks(f"{directory}/{path}"):
        sha.update(block)
        size += len(block)
    return Entry(path, size, sha.hexdigest())


def build(files: Files, directory: str, found: Found) -> List[Entry]:
    """Return the manifest of what was found."""
    return [
        Entry(path, 0, EMPTY_SHA256) if size == 0 else hash_file(files, directory, path)
        for path, size in found.sizes.items()
    ]


def damaged_hdf5(files: Files, directory: str, entries: List[Entry]) -> List[str]:
    """Return a sentence for each HDF5 artifact that is not whole."""
    faults = []
    for entry in entries:
        if entry.path.endswith((".h5", ".hdf5")):
            head = hdf5.read_head(
                partial(files.read, f"{directory}/{entry.path}", limit=hdf5.HEAD_BYTES), entry.size
            )
            fault = hdf5.fault(head, entry.size)
            if fault:
                faults.append(f"{entry.path}: {fault}")
    return faults


class Mismatch(NamedTuple):
    """A file that is not what its manifest says."""

    path: str
    reason: str


def verify(
    files: Files, directory: str, report_sha256: str, report: bytes, entries: List[Dict[str, Any]]
) -> Optional[Mismatch]:
    """Check an attempt's directory against its manifest by reading every byte. None means that all agree."""
    if sha256_hex(report) != report_sha256:
        return Mismatch(REPORT, "its SHA-256 is not the one in the exit record")
    real: Set[str] = {""}
    for item in entries:
        path = item["path"]
        if not is_safe(path):
            return Mismatch(ascii(path), "the path leads out of the attempt's directory")
        if not _is_real(files, directory, os.path.dirname(path), real):
            return Mismatch(path, "a directory above it has become a symbolic link")
        mismatch = _verify_file(files, directory, Entry(path, item["size"], item["sha256"]))
        if mismatch:
            return mismatch
    return None


def _is_real(files: Files, directory: str, folder: str, real: Set[str]) -> bool:
    """Tell whether no part of `folder` is a link; `real` holds the folders that are known to be none."""
    if folder in real:
        return True
    above = _is_real(files, directory, os.path.dirname(folder), real)
    if above and files.kind(f"{directory}/{folder}") is not Kind.LINK:
        real.add(folder)
    return folder in real


def _verify_file(files: Files, directory: str, entry: Entry) -> Optional[Mismatch]:
    target = f"{directory}/{entry.path}"
    try:
        if entry.size == 0:
            size = files.length(target)
            same = size == 0 and files.kind(target) is Kind.FILE and entry.sha256 == EMPTY_SHA256
            return None if same else Mismatch(entry.path, f"{size} bytes where the manifest has 0")
        actual = hash_file(files, directory, entry.path)
    except OSError as error:
        return Mismatch(entry.path, error.strerror or "cannot be read")
    if actual.size != entry.size:
        return Mismatch(entry.path, f"{actual.size} bytes where the manifest has {entry.size}")
    return None if actual.sha256 == entry.sha256 else Mismatch(entry.path, "its content has changed")
