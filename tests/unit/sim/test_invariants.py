"""The invariants' own reading of what is on the disk."""

from __future__ import annotations

from hsm.core.model import Attempt, Task
from hsm.core.states import AttemptState
from hsm.sim.agents import SimAgent
from hsm.sim.at_the_end import is_out_of_reach
from hsm.sim.invariants import last_group, ranks_never_fall
from hsm.sim.scenario import draw
from hsm.sim.stage import Stage
from hsm.sim.trace import Trace
from hsm.wire import frames


def test_a_group_with_a_hole_is_no_group() -> None:
    """A power cut may keep the commit and lose a sector before it: such a group was never acknowledged."""
    first, seq, chain = frames.encode_group(0, frames.GENESIS, [b'{"t":"header"}'])
    second, _, _ = frames.encode_group(seq, chain, [b'{"x":"%s"}' % (b"y" * 400)] * 4)
    whole = first + second
    assert last_group(whole) == len(first)
    for at in range(512, len(whole) - 512, 512):
        assert last_group(whole[:at] + bytes(512) + whole[at + 512 :]) == 0


def test_a_group_whose_last_byte_is_a_zero_that_was_laid_out_is_no_group() -> None:
    """Its writer died within the last write: it was never acknowledged (seed 51761)."""
    first, seq, chain = frames.encode_group(0, frames.GENESIS, [b'{"t":"header"}'])
    second, seq, chain = frames.encode_group(seq, chain, [b"{}"])
    third, _, _ = frames.encode_group(seq, chain, [b"{}"])
    assert last_group(first + second + third[:-1] + bytes(100)) == len(first)
    assert last_group(first + second + third + bytes(100)) == len(first + second)


def known(state: AttemptState, number: int) -> Task:
    return Task(
        index=3,
        config_hash="c",
        task_key="k",
        params_json="{}",
        attempts=(Attempt(number=number, token="t", source="batch", state=state),),
    )


def test_the_result_of_an_earlier_attempt_is_more_than_a_later_intent() -> None:
    """A job that came up late after all may end first; what it was is never forgotten again (seed 31799)."""
    ranks: dict[int, tuple[bool, int, int]] = {}
    assert not ranks_never_fall(known(AttemptState.INTENT, 2), ranks)
    assert not ranks_never_fall(known(AttemptState.SEALED, 1), ranks)
    assert ranks_never_fall(known(AttemptState.EXITED, 2), ranks)
    assert ranks_never_fall(known(AttemptState.RUNNING, 1), ranks)


def test_what_a_killed_agent_left_is_out_of_reach_only_while_its_source_is_served_elsewhere() -> None:
    """A next agent on its machine ends it, and one that left by itself had (seeds 29320, 35006 and 74919)."""
    stage = Stage(draw(1), Trace())
    killed, elsewhere, back = (
        SimAgent(machine, "/s", "/s/.hsm/agents/local", stage.scenario.behave, stage.witness.agent_crashed)
        for machine in (stage.home, stage.away, stage.home)
    )
    token = f"{killed.own_mark}1"
    killed.has_begun = True
    assert not is_out_of_reach([killed, elsewhere], "home", token)
    elsewhere.has_begun = True
    assert is_out_of_reach([killed, elsewhere], "home", token)
    assert not is_out_of_reach([killed, elsewhere], "home", "t" * 32)
    back.has_begun = True
    assert not is_out_of_reach([killed, elsewhere, back], "home", token)
    killed.has_left = True
    assert not is_out_of_reach([killed, elsewhere], "home", token)
    stage.loop.close()
