"""The tree of a sweep as a place on disk: making it, recognising it, and what the disk's refusals mean."""

from __future__ import annotations

import errno
import json
from pathlib import Path

from hsm._version import __version__
from hsm.core.epochs import Claim
from hsm.core.errors import LedgerCorrupt, LedgerError, LedgerFull, LedgerNewer, SweepError
from hsm.core.limits import remedy
from hsm.core.segments import FORMAT
from hsm.core.tree import SweepTree
from hsm.wire.files import Files, Kind
from hsm.wire.log import NO_ROOM

STORAGE = NO_ROOM | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
"""Errors that can only come from the disk under the sweep, whichever part of the engine met them."""

LEAST_BYTES = 8 << 20
"""A smaller file system holds no sweep: its engine would hold 4 MiB of it back, and each agent 1 MiB."""


def check_size(files: Files, directory: Path) -> None:
    """Refuse a file system that is too small for a sweep however much of it is free: nobody waits for that.

    Raises:
        LedgerFull: it is.
    """
    while not files.is_directory(str(directory)) and directory != directory.parent:
        directory = directory.parent
    total = files.total_bytes(str(directory))
    if 0 < total < LEAST_BYTES:
        raise LedgerFull(
            f"{directory}: its file system holds {total / (1 << 20):.1f} MiB in all; a sweep needs "
            f"{LEAST_BYTES >> 20} MiB",
            hint="choose an output directory on a larger one; a sweep can be copied there under its own name",
        )


def create_tree(files: Files, tree: SweepTree) -> None:
    """Make the directories of a new sweep and its FORMAT file, durable with their names.

    Raises:
        LedgerError: the directory exists or cannot be written, or is on a disk that is too small.
    """
    try:
        check_size(files, tree.root)
        files.make_directories(str(tree.root.parent))
        files.make_directory(str(tree.root))
        for directory in tree.directories():
            files.make_directories(str(directory))
        content = {"format": FORMAT, "min_reader": FORMAT, "sweep_id": tree.sweep_id, "hash": "sha256"}
        files.replace(str(tree.format), json.dumps(content).encode() + b"\n", durable=True)
        files.sync_filesystem(str(tree.root))
    except OSError as error:
        raise storage_error(tree.root, error) from error


def check_format(files: Files, tree: SweepTree) -> str:
    """Refuse a tree that is not a sweep, or that only a newer HSM can read; return whose tree it is.

    Raises:
        SweepError, LedgerNewer, LedgerCorrupt
    """
    if files.kind(str(tree.hsm)) is Kind.LINK:
        raise SweepError(
            f"{tree.hsm} is a link: what it leads to may be of another sweep, and be driven from there",
            hint=f"go on with the sweep where it lies: {files.resolve(str(tree.hsm))}",
        )
    try:
        content = json.loads(files.contents(str(tree.format)))
        min_reader = int(content["min_reader"])
    except FileNotFoundError as error:
        raise SweepError(f"{tree.root} is not a sweep", hint="`hsm sweep list` shows the sweeps") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerCorrupt(f"{tree.format} is damaged: {error}") from error
    except OSError as error:
        raise storage_error(tree.format, error) from error
    if min_reader > FORMAT:
        raise LedgerNewer(
            f"{tree.root} has ledger format {min_reader}; this HSM {__version__} reads up to {FORMAT}",
            hint="use the version of HSM that wrote it, or a newer one",
        )
    return str(content.get("sweep_id", ""))


def check_place(files: Files, tree: SweepTree, claim: Claim | None, *, socket: str, released: int) -> None:
    """Refuse to drive a tree that is not where its sweep is: a copy, or one that was given another name.

    Two trees that begin alike would adopt, and kill, each other's processes.

    Raises:
        SweepError: with what to do.
    """
    sweep_id = json.loads(files.contents(str(tree.format))).get("sweep_id")
    if sweep_id != tree.sweep_id:
        raise SweepError(
            f"{tree.root} holds the sweep {sweep_id}, as {tree.format} says",
            hint=f"look at it here, or give the directory its name again: {tree.root.parent / str(sweep_id)}",
        )
    place = socket.rpartition("/")[2]  # says where the tree is; what comes before it, who the user is
    if not place or claim is None or claim.epoch == released:
        return  # who has no address only notes something, and drives nothing
    if claim.socket.rpartition("/")[2] not in ("", place):
        raise SweepError(
            f"{tree.root} was copied or moved while an engine (host {claim.who.host}, pid {claim.who.pid}) "
            "drove it elsewhere",
            hint="of a copy, go on with the original; if it was moved: `hsm sweep complete ID --takeover`",
        )


def storage_error(path: Path, error: OSError) -> LedgerError:
    """Return the error that a user sees when the file system refuses, with the fix."""
    reason = error.strerror or str(error)
    if error.errno in NO_ROOM:
        room = {errno.EDQUOT: "raise the quota", errno.EFBIG: "raise the limit on the size of files"}
        return LedgerFull(
            f"{path}: {reason}",
            hint=f"{room.get(error.errno or 0, 'free space (or inodes)')}, then `hsm sweep complete ID`",
            transient=True,
        )
    hints = {
        errno.EROFS: "the file system is read-only; remount it or choose another output directory",
        errno.EACCES: "you may not write there; choose another output directory",
        errno.EPERM: "you may not write there; choose another output directory",
        errno.EEXIST: "choose another name",
        errno.EIO: "the disk or its server failed; what runs goes on: mend it, then `hsm sweep complete ID`",
        errno.ESTALE: "its server lost it; what runs goes on: mend it, then `hsm sweep complete ID`",
    }
    return LedgerError(f"{path}: {reason}", hint=hints.get(error.errno or 0) or remedy(error))
