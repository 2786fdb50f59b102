"""Bundles on a host: read-only trees of hard links to objects, whole under their name or not there at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set

from hsm.compute.agent.host import Host
from hsm.compute.agent.objects import Objects
from hsm.compute.agent.premises import Premises, remove_tree
from hsm.compute.agent.relay import Refusal
from hsm.wire.bundle import SHA256, BadListing, Item, ItemKind, decode_listing, folders_of
from hsm.wire.files import Files, Kind
from hsm.wire.hashing import sha256_hex

CACHES = frozenset({"__pycache__"})
"""What Python writes beside a module where it may (as root); no part of any bundle, and no damage to one."""

SPACE_BYTES = 16 << 20
"""So much has to be left when everything that is lacking has come."""

_NO_LINK = frozenset({errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class Use(NamedTuple):
    """What is noted beside a bundle: when the last of its files was written, and when it was asked for."""

    made_ns: int
    used_at: float
    files: int
    bytes: int


class Shelf:
    """The bundles below ROOT."""

    def __init__(self, premises: Premises, host: Host) -> None:
        self._premises = premises
        self._files: Files = premises.files
        self._host = host
        self._directory = premises.bundles
        self._word = host.word()  # no other relay's, on any host that sees the same disk
        self.objects = Objects(premises, self._word)

    def path(self, digest: str) -> str:
        """Return where a bundle lies."""
        return os.path.join(self._directory, digest)

    def listing(self, digest: str) -> Optional[List[Item]]:
        """Return what a bundle holds, None where that is not known here.

        Raises:
            Refusal: it is something that no bundle may hold.
        """
        path = self.objects.path(digest)
        if self._files.kind(path) is not Kind.FILE:
            return None
        content = self._files.contents(path)
        if sha256_hex(content) != digest:
            self._files.remove(path)
            return None
        try:
            return decode_listing(content)
        except BadListing as error:
            raise Refusal(f"bundle {digest[:12]}: {error}") from error

    # Making one

    def check_room(self, lacking: Sequence[Item]) -> None:
        """Refuse what will not fit.

        Raises:
            OSError: ENOSPC.
        """
        wanted, free = sum(item.size for item in lacking), self._files.free_bytes(self._directory)
        if wanted + SPACE_BYTES > free:
            told = f"{wanted / 1e6:.1f} MB of project files do not fit into {free / 1e6:.1f} MB"
            raise OSError(errno.ENOSPC, told, self._directory)

    def assemble(self, digest: str, items: Sequence[Item]) -> None:
        """Make a bundle of objects that are all here, in place of a damaged one.

        Raises:
            FileNotFoundError: an object has gone meanwhile.
            OSError: there is no room.
        """
        files, draft = self._files, os.path.join(self._directory, f".{digest}.{self._word}")
        remove_tree(files, draft)
        files.make_directory(draft)
        try:
            made_ns = self._fill(draft, items)
            files.sync_filesystem(draft)
            self._put_in_place(draft, digest, items)
        finally:
            remove_tree(files, draft)
        files.sync_directory(self._directory)
        size = sum(item.size for item in items)
        self._note(digest, Use(made_ns, self._host.now(), len(items), size))

    def _fill(self, draft: str, items: Sequence[Item]) -> int:
        """Put everything where it belongs; return when the last of the files was written, by their disk."""
        files, made_ns = self._files, 0
        folders = sorted({folder for item in items for folder in folders_of(item.path)})
        for folder in folders:
            files.make_directory(f"{draft}/{folder}")
        for item in items:
            if item.kind is ItemKind.LINK:
                files.symlink(item.content, f"{draft}/{item.path}")
            else:
                self._link(self.objects.source(item), f"{draft}/{item.path}", item)
                made_ns = max(made_ns, files.modified_ns(f"{draft}/{item.path}"))
        for folder in ("", *folders):
            files.set_mode(f"{draft}/{folder}", 0o555)
        return made_ns

    def _link(self, source: str, path: str, item: Item) -> None:
        try:
            self._files.link(source, path)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self._files.write_new(path, self._files.contents(source))
            self._files.set_mode(path, 0o555 if item.kind is ItemKind.PROGRAM else 0o444)

    def _put_in_place(self, draft: str, digest: str, items: Sequence[Item]) -> None:
        try:
            self._files.rename(draft, self.path(digest))
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            if not self.is_intact(digest, items):
                broken = f"{draft}.broken"
                self._files.rename(self.path(digest), broken)
                self._files.rename(draft, self.path(digest))
                remove_tree(self._files, broken)

    # Finding one

    def is_intact(self, digest: str, items: Sequence[Item]) -> bool:
        """Tell whether a bundle is what it was when it was made: nothing added, gone, or written to.

        A file that was written after that is read.
        """
        if self._files.kind(self.path(digest)) is not Kind.DIRECTORY:
            return False
        use = self.use(digest)
        expected = {item.path: item for item in items}
        try:
            found = dict(self._walk(self.path(digest), ""))
            return found.keys() == expected.keys() and all(
                self._is_as(f"{self.path(digest)}/{path}", found[path], item, use.made_ns if use else 0)
                for path, item in expected.items()
            )
        except OSError:
            return False

    def _walk(self, directory: str, prefix: str) -> "Iterator[tuple[str, int]]":
        """Yield every file below a directory with its length, links with -1."""
        for name in self._files.scan(directory):
            if name.kind is not Kind.DIRECTORY:
                yield prefix + name.name, name.length if name.kind is Kind.FILE else -1
            elif name.name not in CACHES:
                yield from self._walk(f"{directory}/{name.name}", f"{prefix}{name.name}/")

    def _is_as(self, path: str, length: int, item: Item, made_ns: int) -> bool:
        if item.kind is ItemKind.LINK:
            return length == -1 and self._files.read_link(path) == item.content
        if length != item.size:
            return False
        is_old = self._files.modified_ns(path) <= made_ns
        return is_old or sha256_hex(self._files.contents(path)) == item.content

    # Keeping count

    def use(self, digest: str) -> Optional[Use]:
        """Return what is noted of a bundle, None where nothing is."""
        try:
            said: Dict[str, object] = json.loads(self._files.contents(f"{self.path(digest)}.json"))
            use = Use(**said)  # type: ignore[arg-type]
        except (OSError, ValueError, TypeError):
            return None
        return use if all(isinstance(value, (int, float)) for value in use) else None

    def note_use(self, digest: str) -> None:
        """Note that a bundle was asked for now."""
        use = self.use(digest)
        if use is not None:
            self._note(digest, use._replace(used_at=self._host.now()))

    def _note(self, digest: str, use: Use) -> None:
        path = f"{self.path(digest)}.json"
        draft = f"{path}.{self._word}"
        self._files.write_new(draft, json.dumps(use._asdict()).encode("ascii"))
        self._files.rename(draft, path)

    def digests(self) -> Dict[str, Use]:
        """Return the bundles that are here, with what is noted of them."""
        names = [name for name, kind, _ in self._premises.names(self._directory) if kind is Kind.DIRECTORY]
        return {name: self.use(name) or Use(0, 0.0, 0, 0) for name in names if SHA256.fullmatch(name)}

    def remove(self, digest: str) -> None:
        """Remove a bundle; its objects stay."""
        gone = os.path.join(self._directory, f".{digest}.{self._word}.gone")
        with contextlib.suppress(FileNotFoundError):
            self._files.rename(self.path(digest), gone)
        self._files.remove(f"{self.path(digest)}.json")
        remove_tree(self._files, gone)

    def known(self, digests: Iterable[str]) -> Set[str]:
        """Return every content that these bundles need, with their listings."""
        needed: Set[str] = set()
        for digest in digests:
            needed.add(digest)
            needed.update(item.content for item in self.listing(digest) or ())
        return needed
