"""What the agent has to do: the fold of what it was told (inbox) and of what has been done (records)."""

from __future__ import annotations

from typing import Dict, List, Optional, Set

from hsm.wire.messages import (
    Cancel,
    Close,
    Ended,
    Hello,
    Hindered,
    Lost,
    Message,
    Opened,
    Recall,
    Run,
    Started,
    Withdrawn,
)


class Backlog:
    """Attempts that wait, in the order in which they came, and what is known of the others.

    `unfinished` holds the attempts that a predecessor began and never ended. Which of a superseded manager's
    messages count, the inbox has decided; none of them greets or closes after a newer one has greeted.
    """

    def __init__(self) -> None:
        self.hello: Optional[Hello] = None
        self.closed = False
        self.waiting: Dict[str, Run] = {}
        self.unfinished: Dict[str, Started] = {}
        self._to_cancel: List[str] = []
        self._to_withdraw: List[Run] = []
        self._known: Set[str] = set()
        self._counted_on: List[str] = []
        self._wanted: Optional[Set[str]] = None

    def replay(self, message: Message) -> None:
        """Take in one record of a predecessor. Must come before what the inbox says."""
        if isinstance(message, (Opened, Hindered)):
            return
        token = message.token  # type: ignore[union-attr]
        self._known.add(token)
        if isinstance(message, Started):
            self.unfinished[token] = message
        elif isinstance(message, (Ended, Lost, Withdrawn)):
            self.unfinished.pop(token, None)

    def hear(self, epoch: int, message: Message) -> None:
        """Take in one message of the manager that holds this epoch."""
        is_old = self.hello is not None and epoch < self.hello.epoch
        if isinstance(message, (Hello, Close)) and is_old:
            return
        if isinstance(message, Hello):
            self.hello, self.closed, self._counted_on = message, False, list(message.adopted or ())
            self._wanted = None if message.adopted is None else set(message.adopted)
            self._forget_what_is_not_wanted()
        elif isinstance(message, Run):
            if not is_old and self._wanted is not None:
                self._wanted.add(message.token)
            if self._is_wanted(message.token) and message.token not in self._known:
                self._known.add(message.token)
                self.waiting[message.token] = message
        elif isinstance(message, (Cancel, Recall)):
            self._withdraw(message)
        elif isinstance(message, Close):
            self.closed = True

    def _is_wanted(self, token: str) -> bool:
        """Tell whether the last manager counts on an attempt: adopted when it greeted, or ordered since."""
        return self._wanted is None or token in self._wanted

    def _forget_what_is_not_wanted(self) -> None:
        """Drop what waits and what a new manager does not count on; it may order it anew."""
        for token in [token for token in self.waiting if not self._is_wanted(token)]:
            del self.waiting[token]
            self._known.discard(token)

    def give_up(self, token: str) -> bool:
        """Forget an attempt that a predecessor began, unless somebody counts on it; tell whether it was."""
        if self._is_wanted(token):
            return False
        del self.unfinished[token]
        return True

    def _withdraw(self, message: Message) -> None:
        for token in message.tokens:  # type: ignore[union-attr]
            run = self.waiting.pop(token, None)
            if run is not None:
                self._to_withdraw.append(run)
            elif isinstance(message, Cancel):
                self._to_cancel.append(token)

    def take_withdrawn(self) -> List[Run]:
        """Return, once, what was taken back or cancelled and, as far as is recorded, never began."""
        runs, self._to_withdraw = self._to_withdraw, []
        return runs

    def take_unknown(self) -> List[str]:
        """Return, once, what the manager counts on and nobody knows of: neither ordered, nor ever begun.

        All that was said before its greeting must have been heard. Such an order was never written, or a
        power cut took it.
        """
        unknown = [token for token in self._counted_on if token not in self._known]
        self._known.update(unknown)
        self._counted_on = []
        return unknown

    def take_cancelled(self) -> List[str]:
        """Return, once, the attempts that must end and may be running."""
        tokens, self._to_cancel = self._to_cancel, []
        return tokens

    def take(self) -> List[Run]:
        """Remove and return the attempt that has waited longest, with all that wait of its batch."""
        first = next(iter(self.waiting.values()))
        runs = [run for run in self.waiting.values() if run.batch == first.batch] if first.batch else [first]
        for run in runs:
            del self.waiting[run.token]
        return runs

    def put_back(self, runs: List[Run]) -> None:
        """Put attempts that could not be begun before all others."""
        self.waiting = {**{run.token: run for run in runs}, **self.waiting}
