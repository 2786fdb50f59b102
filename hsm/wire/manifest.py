"""The manifest of an attempt: every file that it left, with size and SHA-256.

Built where the attempt ran, checked at home.
The manifest is the `artifacts` list of `provenance.json`; the exit record holds the SHA-256 of that file,
so one digest covers every byte. `status.yaml` is the manager's and lies outside of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import partial
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set

from hsm.wire import hdf5
from hsm.wire.files import Files, Kind, Name
from hsm.wire.hashing import EMPTY_SHA256, sha256_hex

REPORT = "provenance.json"
NO_FILES = EMPTY_SHA256
"""The digest of an empty report: the attempt left no files anywhere, its source keeps none."""
OUTSIDE = frozenset({REPORT, "status.yaml"})
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,9}")
SAID = ("token", "attempt", "config_hash", "exit", "cause")
MAX_PATH_BYTES = 1024
MAX_REPORT_BYTES = 256 << 20  # the manifest of more than a million files


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


def hash_file(files: Files, directory: str, path: str, *, protect: bool = False) -> Entry:
    """Hash one regular file by reading its bytes; links are not followed. See `Files.chunks` on `protect`."""
    sha, size = hashlib.sha256(), 0
    for block in files.chunks(f"{directory}/{path}", protect=protect):
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
    """A file that is not what its manifest says, or that is not there at all."""

    path: str
    reason: str
    is_missing: bool = False


class Listed(NamedTuple):
    """The manifest of an attempt, and the names of what it lists beside: links, and what was ignored.

    `said` is what else the report says of the attempt: whose it is, and how it ended.
    """

    entries: List[Entry]
    beside: List[str]
    said: Dict[str, Any]


def read(files: Files, directory: str, report_sha256: str, *, protect: bool = False) -> "Listed | Mismatch":
    """Return the manifest in an attempt's provenance report, whose SHA-256 its exit record tells."""
    try:
        report = _report(files, directory, protect=protect)
        if sha256_hex(report) != report_sha256:
            return Mismatch(REPORT, "its SHA-256 is not the one in the exit record")
        return parse(report)
    except FileNotFoundError as error:
        return Mismatch(REPORT, f"cannot be read: {error.strerror}", is_missing=True)
    except (OSError, ValueError) as error:
        return Mismatch(REPORT, f"cannot be read: {error}")


def parse(report: bytes) -> Listed:
    """Return the manifest in the text of a provenance report; what it says has not been checked.

    Raises:
        ValueError: there is none.
    """
    try:
        content = json.loads(report)
        beside = [*content.get("links", ()), *content.get("ignored", ())]
        said = {name: content[name] for name in SAID if name in content}
        return Listed([_entry(item) for item in content["artifacts"]], beside, said)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _report(files: Files, directory: str, *, protect: bool) -> bytes:
    blocks: List[bytes] = []
    size = 0
    for block in files.chunks(f"{directory}/{REPORT}", protect=protect):
        blocks.append(block)
        size += len(block)
        if size > MAX_REPORT_BYTES:
            raise ValueError(f"larger than {MAX_REPORT_BYTES >> 20} MiB")
    return b"".join(blocks)


def _entry(item: Dict[str, Any]) -> Entry:
    path, size, sha256 = item["path"], item["size"], item["sha256"]
    if type(path) is not str or type(size) is not int or type(sha256) is not str:
        raise TypeError("an artifact without path, size or SHA-256")
    return Entry(path, size, sha256)


def mismatches(
    files: Files, directory: str, entries: List[Entry], *, protect: bool = False
) -> Iterator[Mismatch]:
    """Yield every file that is not what the manifest says, by reading every byte.

    With `protect` each file is made read-only before it is read, so that only what had it open for writing
    before can still change what is found to be right.
    """
    real: Set[str] = {""}
    seen: Set[str] = set()
    for entry in entries:
        path = entry.path
        if not is_safe(path):
            yield Mismatch(ascii(path), "the path leads out of the attempt's directory")
        elif path in seen or path in OUTSIDE:
            yield Mismatch(path, "the manifest lists it twice" if path in seen else "no manifest may list it")
        elif not _is_real(files, directory, os.path.dirname(path), real):
            yield Mismatch(path, "a directory above it has become a symbolic link")
        else:
            mismatch = _check(files, directory, entry, protect=protect)
            if mismatch:
                yield mismatch
        seen.add(path)


def _is_real(files: Files, directory: str, folder: str, real: Set[str]) -> bool:
    """Tell whether no part of `folder` is a link; `real` holds the folders that are known to be none."""
    if folder in real:
        return True
    above = _is_real(files, directory, os.path.dirname(folder), real)
    if above and files.kind(f"{directory}/{folder}") is not Kind.LINK:
        real.add(folder)
    return folder in real


def _check(files: Files, directory: str, entry: Entry, *, protect: bool) -> Optional[Mismatch]:
    try:
        actual = hash_file(files, directory, entry.path, protect=protect)
    except (FileNotFoundError, NotADirectoryError):
        return Mismatch(entry.path, "it is missing", is_missing=True)
    except OSError as error:
        if files.kind(f"{directory}/{entry.path}") is Kind.LINK:
            return Mismatch(entry.path, "it has become a symbolic link")
        return Mismatch(entry.path, error.strerror or "cannot be read")
    if actual.size != entry.size:
        return Mismatch(entry.path, f"{actual.size} bytes where the manifest has {entry.size}")
    return None if actual.sha256 == entry.sha256 else Mismatch(entry.path, "its content has changed")


def verify(files: Files, directory: str, report_sha256: str) -> "Listed | Mismatch":
    """Return an attempt's manifest after protecting and reading every byte of it, or what does not agree."""
    listed = read(files, directory, report_sha256, protect=True)
    if isinstance(listed, Mismatch):
        return listed
    return next(mismatches(files, directory, listed.entries, protect=True), None) or listed


def extras(files: Files, directory: str, listed: Listed) -> List[str]:
    """Return what lies in an attempt's directory and is in no manifest, nor the manager's.

    The manager's are links to the analyses of a result.
    """
    known = {entry.path for entry in listed.entries}.union(listed.beside)
    found = find(files, directory)
    links = {path for path, target in found.links.items() if not _leads_to_analysis(path, target)}
    return sorted({*found.sizes, *links, *found.ignored} - known)


def _leads_to_analysis(path: str, target: str) -> bool:
    folder, _, name = path.partition("/")
    return folder == "analyses" and target.startswith(f"../../../.hsm/analyses/{name}/tasks/task_")
