"""The bundle of a sweep, at home: what its attempts start from wherever files have to be sent.

`.hsm/bundle.json` lists what the project was when the sweep began. The files themselves are those of the
project, as long as they are what they were, and a copy that `keep` makes where they are not many bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm.core.program import Program
from hsm.core.survey import LeftOut
from hsm.core.tree import SweepTree
from hsm.wire.bundle import BadListing, Item, ItemKind, decode_listing, digest_of, encode_listing
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex

VERSION = 1
NAMED = 5
MAX_KEPT_BYTES = 32 << 20
"""A project of more bytes is not copied; it can be sent as long as it stays as it is."""


def write_listing(files: Files, tree: SweepTree, program: Program) -> None:
    """Note in a sweep's tree what its attempts start from, unless that is noted.

    Raises:
        OSError: it cannot be written.
    """
    if not files.exists(str(tree.bundle)):
        listing = json.loads(program.listing)
        outside = [path for path, why in program.left_out.items() if why is LeftOut.LEADS_OUT]
        content = {"format": VERSION, "program": program.report, "listing": listing, "outside": outside}
        files.replace(str(tree.bundle), json.dumps(content).encode("ascii") + b"\n", durable=True)


def changes(files: Files, tree: SweepTree, program: Program) -> list[str]:
    """Return the paths that are not what they were when a sweep began; none where that is not known."""
    try:
        bundle = Bundle.of_sweep(files, tree, Path())
    except BadListing:
        return []
    differing = set(bundle.items) ^ set(program.items) if bundle is not None else set()
    return sorted({item.path for item in differing})


def named(paths: Sequence[str]) -> str:
    """Return some paths in words, of many the first."""
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(ascii(path)[1:-1] for path in paths[:NAMED]) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What the attempts of a sweep start from.

    `report` is what their provenance says about the code, `places` the paths of each content;
    `outside` are links of the project that lead out of it, to what no host has.
    """

    tree: SweepTree
    project: Path
    items: tuple[Item, ...]
    listing: bytes
    digest: str
    report: Mapping[str, Any]
    places: Mapping[str, Sequence[str]]
    outside: tuple[str, ...] = ()

    @classmethod
    def of_sweep(cls, files: Files, tree: SweepTree, project: Path) -> Bundle | None:
        """Return the bundle of a sweep, None where it is not known. Blocks.

        Raises:
            BadListing: what is noted is damaged.
        """
        try:
            content = json.loads(files.contents(str(tree.bundle)))
            listing, report = json.dumps(content["listing"]).encode(), dict(content["program"])
            outside = tuple(map(str, content["outside"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadListing(f"{tree.bundle} cannot be read: {error}") from error
        items = tuple(decode_listing(listing))
        places: dict[str, list[str]] = {}
        for item in items:
            if item.kind is not ItemKind.LINK:
                places.setdefault(item.content, []).append(item.path)
        text = encode_listing(items)
        return cls(
            tree=tree,
            project=project,
            items=items,
            listing=text,
            digest=digest_of(text),
            report=report,
            places=places,
            outside=outside,
        )

    @property
    def files(self) -> dict[str, Item]:
        """One item of each content, by SHA-256."""
        return {item.content: item for item in self.items if item.kind is not ItemKind.LINK}

    def contents(self, files: Files, wanted: Iterable[str]) -> dict[str, bytes | None]:
        """Return contents by SHA-256, None for those that are neither in the project nor kept. Blocks."""
        found: dict[str, bytes | None] = {sha: self._in_project(files, sha) for sha in wanted}
        gone = [sha for sha, content in found.items() if content is None]
        return {**found, **(self._kept(files, gone) if gone else {})}

    def missing(self, files: Files, wanted: Iterable[str]) -> list[str]:
        """Return the contents that are neither in the project nor kept, by reading them all. Blocks."""
        gone = [sha for sha in wanted if self._in_project(files, sha) is None]
        kept = self._kept(files, gone) if gone else {}
        return [sha for sha in gone if kept[sha] is None]

    def _in_project(self, files: Files, sha: str) -> bytes | None:
        if sha == self.digest:
            return self.listing
        for path in self.places.get(sha, ()):
            try:
                content = files.contents(f"{self.project}/{path}")
            except OSError:
                continue
            if sha256_hex(content) == sha:
                return content
        return None

    def _kept(self, files: Files, wanted: Sequence[str]) -> dict[str, bytes | None]:
        try:
            with zipfile.ZipFile(io.BytesIO(files.contents(str(self.tree.bundle_files)))) as archive:
                names = set(archive.namelist())
                found = {sha: archive.read(sha) for sha in wanted if sha in names}
        except (OSError, zipfile.BadZipFile, zlib.error):
            found = {}
        whole = {sha for sha, content in found.items() if sha256_hex(content) == sha}
        return {sha: found[sha] if sha in whole else None for sha in wanted}

    def keep(self, files: Files) -> bool:
        """Copy the files into the sweep's tree where they are few enough; False where they are not. Blocks.

        What has changed since the sweep began is not in the copy.

        Raises:
            OSError: it cannot be written.
        """
        if files.exists(str(self.tree.bundle_files)):
            files.remove(f"{self.tree.bundle_files}.part")  # of a dead engine; a living one writes it again
            return True
        if sum(item.size for item in self.files.values()) > MAX_KEPT_BYTES:
            return False
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for sha in sorted(self.files):
                data = self._in_project(files, sha)
                if data is not None:
                    archive.writestr(zipfile.ZipInfo(sha), data, zipfile.ZIP_DEFLATED, 1)
        files.replace(str(self.tree.bundle_files), content.getvalue(), durable=True)
        return True
