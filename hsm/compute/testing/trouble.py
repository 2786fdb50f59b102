"""Trouble for a pretended source: replies get lost, attempts show up late, nobody answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hsm.core.errors import SourceError
from hsm.core.source import Fault, SubmitOutcome

HandOver: TypeAlias = Callable[[], Sequence[SubmitOutcome]]


@dataclass(slots=True)
class Trouble:
    """What goes wrong from now on.

    The next submits lose their replies, one for each entry of `lost_replies`: True where the attempts arrive
    all the same. The next `denials` questions deny that attempts are there. While `is_down` nothing answers;
    `defect` is raised by the next call. An attempt is found `copies` times. Attempts whose ref is in
    `faults` do not come home whole.
    """

    lost_replies: deque[bool] = field(default_factory=deque)
    denials: int = 0
    is_down: bool = False
    defect: Exception | None = None
    copies: int = 1
    faults: dict[str, Fault] = field(default_factory=dict)

    def check(self, source: str) -> None:
        """Fail if nothing answers.

        Raises:
            SourceError: nothing does.
            Exception: the defect.
        """
        if self.defect is not None:
            defect, self.defect = self.defect, None
            raise defect
        if self.is_down:
            raise SourceError(source, "no route to host", hint="check the network", transient=True)

    def submit(
        self, source: str, hand_over: Callable[[], Sequence[SubmitOutcome]]
    ) -> Sequence[SubmitOutcome]:
        """Hand over, and return the reply unless it gets lost.

        Raises:
            SourceError: it does.
        """
        if not self.lost_replies:
            return hand_over()
        if self.lost_replies.popleft():
            hand_over()
        raise SourceError(source, "connection reset", transient=True)

    def refs(self, token: str, *, is_known: bool) -> tuple[str, ...]:
        """Return what is found of an attempt."""
        if not is_known or self.denials:
            return ()
        return (token, *(f"{token}.{number}" for number in range(2, self.copies + 1)))

    def asked(self) -> None:
        """Note that a question was answered."""
        self.denials = max(0, self.denials - 1)
