"""The agent's backlog: a pure fold of inbox and records, the same however often the agent dies."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from hsm.compute.agent.backlog import Backlog
from hsm.wire.messages import (
    Cancel,
    Close,
    Ended,
    Hello,
    Lost,
    Message,
    Opened,
    Recall,
    Run,
    Started,
    Withdrawn,
)

END = (Ended, Lost, Withdrawn)

tokens = st.sampled_from([f"{number:032x}" for number in range(6)])
runs = tokens.map(
    lambda token: Run(token, int(token, 16), 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0)
)
withdrawals = st.lists(tokens, min_size=1, max_size=3).flatmap(
    lambda found: st.sampled_from([Cancel(found), Recall(found)])
)
steps = st.lists(st.sampled_from(["hear", "begin", "end", "settle", "die"]), max_size=60)


def hello(epoch: int) -> Hello:
    return Hello(epoch, "s", 2, "/", {}, [], 1.0, {})


@dataclass
class Life:
    """An agent as a list of steps, in memory: what it was told, what it recorded, what runs."""

    inbox: list[tuple[int, Message]]
    records: list[Message] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    heard: int = 0
    backlog: Backlog = field(default_factory=Backlog)

    def hear(self) -> None:
        if self.heard < len(self.inbox):
            self.backlog.hear(*self.inbox[self.heard])
            self.heard += 1

    def begin(self) -> None:
        if self.backlog.waiting:
            for run in self.backlog.take():
                self.records.append(Started(run.token, 1, "1", 0.0))
                self.running.append(run.token)

    def end(self) -> None:
        if self.running:
            self._end(self.running.pop(0), None)

    def settle(self) -> None:
        self.records += [Withdrawn(run.token, 0.0) for run in self.backlog.take_withdrawn()]
        for token in self.backlog.take_cancelled():
            if token in self.running:
                self.running.remove(token)
                self._end(token, "cancelled")

    def _end(self, token: str, cause: str | None) -> None:
        self.records.append(Ended(token, 0, None, 0, 0, 0, 0, 0, 0, None, 0, 0, cause, ""))

    def die(self) -> None:
        """Die, and live on as the next agent: all that is known is what was written."""
        self.backlog, self.running, self.heard = Backlog(), [], 0
        for message in self.records:
            self.backlog.replay(message)
        self.records += [Lost(token, "died", 0.0) for token in self.backlog.unfinished]
        self.backlog.unfinished.clear()

    def live(self, steps: list[str]) -> None:
        for step in steps:
            getattr(self, step)()
        while self.heard < len(self.inbox) or self.backlog.waiting or self.running:
            for step in ("hear", "settle", "begin", "end"):
                getattr(self, step)()
        self.settle()

    def of(self, kind: type | tuple[type, ...]) -> list[str]:
        return [message.token for message in self.records if isinstance(message, kind)]  # type: ignore[union-attr]


@given(st.lists(runs, max_size=12), steps)
def test_every_attempt_is_begun_once_whatever_dies(orders: list[Run], steps: list[str]) -> None:
    """However inbox and records are split over agents, the same attempts begin, once each, in order."""
    life = Life([(1, hello(1)), *((1, order) for order in orders)])
    life.live(steps)
    assert life.of(Started) == list(dict.fromkeys(order.token for order in orders))
    assert sorted(life.of(END)) == sorted(life.of(Started))


@given(st.lists(runs | withdrawals, max_size=14), steps)
def test_every_attempt_ends_once_whatever_is_withdrawn(messages: list[Message], steps: list[str]) -> None:
    """With recalls and cancels in between, every attempt ends once, and what never began is withdrawn."""
    life = Life([(1, hello(1)), *((1, message) for message in messages)])
    life.live(steps)
    ordered = {message.token for message in messages if isinstance(message, Run)}
    assert sorted(life.of(END)) == sorted(ordered)
    assert set(life.of(Withdrawn)) == ordered - set(life.of(Started))


@given(st.lists(st.lists(runs, max_size=4), min_size=1, max_size=4), steps)
def test_managers_that_follow_one_another_are_one(epochs: list[list[Run]], steps: list[str]) -> None:
    """Orders of several managers, repeated or not, are one list of attempts."""
    inbox: list[tuple[int, Message]] = []
    for epoch, orders in enumerate(epochs, 1):
        inbox += [(epoch, hello(epoch)), *((epoch, order) for order in orders), (epoch, Close())]
    life = Life(inbox)
    life.live(steps)
    assert life.of(Started) == list(dict.fromkeys(order.token for orders in epochs for order in orders))
    assert life.backlog.closed


def test_a_superseded_manager_neither_greets_nor_closes() -> None:
    """Its orders count as far as the inbox lets them through; who is the manager, the newest one says."""
    backlog = Backlog()
    order = Run("a" * 32, 1, 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0)
    for epoch, message in ((2, hello(2)), (1, hello(1)), (1, order), (1, Close())):
        backlog.hear(epoch, message)
    assert backlog.hello == hello(2)
    assert (list(backlog.waiting), backlog.closed) == (["a" * 32], False)


def test_only_what_a_new_manager_counts_on_is_still_wanted() -> None:
    """What waits and is not named is dropped, as is what comes in late; it may be ordered anew."""
    orders = [Run(f"{n:032x}", n, 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0) for n in range(4)]
    names = [order.token for order in orders]
    backlog = Backlog()
    for message in (hello(1), orders[0], orders[1]):
        backlog.hear(1, message)
    backlog.hear(2, hello(2)._replace(adopted=[names[1], names[2]]))
    assert list(backlog.waiting) == [names[1]]
    backlog.hear(1, orders[2])
    backlog.hear(1, orders[3])
    assert list(backlog.waiting) == names[1:3]
    backlog.hear(2, orders[0])
    assert set(backlog.waiting) == set(names[:3])


def test_what_a_manager_counts_on_and_nobody_knows_is_told_once() -> None:
    """Neither ordered nor begun, as after a power cut; and it is not begun when it is ordered after all."""
    orders = [Run(f"{n:032x}", n, 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0) for n in range(4)]
    names = [order.token for order in orders]
    backlog = Backlog()
    backlog.replay(Started(names[0], 1, "1", 0.0))
    backlog.hear(1, hello(1)._replace(adopted=[names[3]]))
    backlog.hear(1, orders[1])
    backlog.hear(2, hello(2)._replace(adopted=names[:3]))
    assert backlog.take_unknown() == [names[2]], "what an older manager counted on is nobody's question"
    assert backlog.take_unknown() == []
    backlog.hear(2, orders[2])
    backlog.hear(2, orders[3])
    assert list(backlog.waiting) == [names[1], names[3]]


def test_what_ran_elsewhere_is_forgotten_when_nobody_counts_on_it() -> None:
    """Of what a predecessor began: kept while it is wanted, and nothing is said of it otherwise."""
    backlog = Backlog()
    for token in ("a" * 32, "b" * 32):
        backlog.replay(Started(token, 1, "1", 0.0))
    backlog.hear(2, hello(2)._replace(adopted=["a" * 32]))
    assert [backlog.give_up(token) for token in ("a" * 32, "b" * 32)] == [False, True]
    assert list(backlog.unfinished) == ["a" * 32]


def test_what_was_ordered_after_the_greeting_is_counted_on_too() -> None:
    """An agent that a superseded manager brings up on another host must not forget it (seed 85157)."""
    backlog = Backlog()
    token = "a" * 32
    backlog.replay(Started(token, 1, "1", 0.0))
    backlog.hear(2, hello(2)._replace(adopted=[]))
    backlog.hear(2, Run(token, 1, 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0))
    assert not backlog.give_up(token)
    backlog.hear(3, hello(3)._replace(adopted=[]))
    assert backlog.give_up(token), "the next manager does not"


def test_a_new_manager_reopens_what_was_closed() -> None:
    """An agent that was told to leave stays when another manager comes."""
    backlog = Backlog()
    for epoch, message in ((1, hello(1)), (1, Close()), (2, hello(2))):
        backlog.hear(epoch, message)
    assert not backlog.closed


def test_what_could_not_begin_stays_first() -> None:
    """An attempt that is put back is the next to be taken."""
    backlog = Backlog()
    backlog.replay(Opened(1, "", "", "", 1, "", "", "", 0.0))
    backlog.hear(1, hello(1))
    for number in range(3):
        backlog.hear(1, Run(f"{number:032x}", number, 1, "d", ["true"], "{}", 0, "c", "k", None, None, 0))
    backlog.put_back(backlog.take())
    assert [run.task for _ in range(3) for run in backlog.take()] == [0, 1, 2]
