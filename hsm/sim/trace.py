"""The trace of a simulation: everything that was done in the world, as one hash and, if wanted, as text."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b


class Trace:
    """Counts what happened, and with `hashes` takes notes of everything; with `keep` they can be read.

    Two runs of one seed are the same if and only if their digests are.
    """

    def __init__(self, *, hashes: bool = False, keep: bool = False) -> None:
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()
        self.now = 0.0
        self._keep = keep
        self._hash = blake2b(digest_size=16) if hashes or keep else None

    def note(self, what: str, detail: object = "") -> None:
        """Note that something was done in the world."""
        if self._hash is None:
            return
        line = f"{self.now:.6f} {what} {detail}"
        self._hash.update(line.encode("utf-8", "surrogatepass"))
        if self._keep:
            self.lines.append(line)

    def count(self, what: str, detail: object = "") -> None:
        """Count something that is worth a statistic, and note it."""
        self.counts[what] += 1
        self.note(f"* {what}", detail)

    @property
    def digest(self) -> str:
        """The hash of everything noted so far."""
        return self._hash.hexdigest() if self._hash is not None else ""
