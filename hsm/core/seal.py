"""The seal of a sweep: one hash over all of its results, in the ledger and in `SEAL.json`.

Results are the leaves of a Merkle tree, in task order; a leaf is the line `task_0001 1 <SHA-256 of the
attempt's report>`, and that report lists every file with its SHA-256. The tree is that of RFC 6962: a leaf is
hashed behind a zero byte, a pair of nodes behind a one, and a node without a partner goes up as it is.

The root is an event, so that the ledger's chain covers it. `SEAL.json` repeats it beside the ledger's head.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from hsm.core.errors import LedgerCorrupt
from hsm.core.events import SweepSealed
from hsm.core.projection import moment
from hsm.core.segments import Mark, is_on_ledger
from hsm.core.states import RESULTS, SweepStatus
from hsm.core.sweep_state import SweepState
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import Position

VERSION = 1
CLOSED = frozenset({SweepStatus.COMPLETE, SweepStatus.FAILED, SweepStatus.CANCELLED})


def leaves(state: SweepState) -> Iterator[bytes]:
    """Yield a line for each task that has a sealed result, whatever became of its files since."""
    for task in state.tasks:
        attempt = task.attempt
        if attempt is not None and task.status in RESULTS:
            yield f"{task.task_id} {attempt.number} {attempt.manifest}".encode("ascii")


def merkle_root(lines: Iterable[bytes]) -> str:
    """Return the root of the tree over these leaves, as hexadecimal digits."""
    level = [sha256(b"\0" + line).digest() for line in lines]
    if not level:
        return sha256(b"").hexdigest()
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
        level = above + level[len(above) * 2 :]
    return level[0].hex()


def sealed(state: SweepState, at: float) -> SweepSealed | None:
    """Return the seal of a sweep that is over and has nothing alive, None for any other one."""
    status = state.status(driven=False)
    if status not in CLOSED or state.live():
        return None
    lines = list(leaves(state))
    counts = {str(word): count for word, count in state.counts.items() if count}
    return SweepSealed(status=status, counts=counts, results=len(lines), root=merkle_root(lines), at=at)


def content_of(tree: SweepTree, state: SweepState, mark: Mark) -> dict[str, Any] | None:
    """Return what `SEAL.json` says of a sweep whose ledger ends at `mark`, None while it is not sealed."""
    event, created = state.sealed, state.created
    if event is None or created is None:
        return None
    offset, seq, chain = mark.position
    return {
        "format": VERSION,
        "sweep_id": tree.sweep_id,
        "config_digest": created.config_digest,
        "program_digest": created.program_digest,
        "status": str(event.status),
        "closed_at": moment(event.at),
        "counts": dict(event.counts),
        "results": event.results,
        "root": event.root,
        "ledger": {"segment": mark.segment, "offset": offset, "seq": seq, "chain": chain.hex()},
    }


def write_seal(files: Files, tree: SweepTree, state: SweepState, mark: Mark) -> None:
    """Write `SEAL.json`, durable and at once, where the sweep is sealed.

    Raises:
        OSError: it cannot be written; the one before is in its place.
    """
    content = content_of(tree, state, mark)
    if content is not None:
        files.replace(str(tree.seal), json.dumps(content, indent=1).encode() + b"\n", durable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCheck:
    """What was found of a sweep's `SEAL.json`; `content` is None where it cannot be read or is not there.

    `is_past` says that the sweep has been opened again since.
    """

    content: Mapping[str, Any] | None = None
    faults: tuple[str, ...] = ()
    is_past: bool = False

    @property
    def head(self) -> str:
        """The line to publish."""
        content = self.content or {}
        ledger = content["ledger"]
        return (
            f"hsm-seal-v1 {content['sweep_id']} results={content['results']} root={content['root']} "
            f"seq={ledger['seq']} chain={ledger['chain']}"
        )


def read_seal(files: Files, tree: SweepTree) -> Mapping[str, Any] | None:
    """Return what `SEAL.json` says, None where there is none.

    Raises:
        ValueError: it says nothing that can be understood.
    """
    try:
        content: Mapping[str, Any] = json.loads(files.contents(str(tree.seal)))
        if content["format"] != VERSION:
            raise ValueError(f"format {content['format']!r} is none that this version reads")
        mark_of(content)
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    return content


def mark_of(content: Mapping[str, Any]) -> Mark:
    """Return the place in the ledger that a `SEAL.json` names."""
    ledger = content["ledger"]
    position = Position(int(ledger["offset"]), int(ledger["seq"]), bytes.fromhex(ledger["chain"]))
    return Mark(str(ledger["segment"]), position)


def check_seal(
    files: Files, tree: SweepTree, state: SweepState, seals: Sequence[tuple[SweepSealed, str]]
) -> SealCheck:
    """Compare `SEAL.json` with the ledger.

    `seals` are those of the ledger, each with the root of the results as they were then, worked out anew.
    """
    try:
        content = read_seal(files, tree)
    except ValueError as error:
        return SealCheck(faults=(f"{tree.seal.name}: {error}",))
    if content is None:
        gone = f"{tree.seal.name} is missing; `hsm sweep rebuild ID` writes it anew" if state.sealed else ""
        return SealCheck(faults=(gone,) if gone else ())
    meant = [pair for pair in seals if pair[0].root == content.get("root")]
    meant = [pair for pair in meant if moment(pair[0].at) == content.get("closed_at")] or meant
    event, root = meant[-1] if meant else (None, "")
    faults = list(_faults(files, tree, state, content, event))
    if event is not None and root != event.root:
        faults.append(f"the results that the ledger had at its seal have the root {root}, not {event.root}")
    is_past = event is not state.sealed or _is_open(state)
    return SealCheck(content=content, faults=tuple(faults), is_past=is_past)


def _is_open(state: SweepState) -> bool:
    return state.status(driven=False) not in CLOSED


def _faults(
    files: Files, tree: SweepTree, state: SweepState, content: Mapping[str, Any], event: SweepSealed | None
) -> Iterator[str]:
    name, mark = tree.seal.name, mark_of(content)
    if not _is_on_ledger(files, tree, mark):
        yield f"{name}: the ledger has no such chain at record {mark.position.seq}"
    if event is None:
        yield f"{name}: the ledger has no seal with the root {content.get('root')}"
        return
    then = SweepState(state.spec)
    then.created, then.sealed = state.created, event
    expected = content_of(tree, then, mark) or {}
    for key in sorted({*expected, *content}):
        if expected.get(key) != content.get(key):
            yield f"{name}: {key} is {content.get(key)!r}, where the ledger has {expected.get(key)!r}"


def _is_on_ledger(files: Files, tree: SweepTree, mark: Mark) -> bool:
    try:
        return is_on_ledger(files, tree, mark)
    except LedgerCorrupt:
        return False
