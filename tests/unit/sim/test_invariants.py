"""The invariants' own reading of what is on the disk."""

from __future__ import annotations

from hsm.sim.invariants import last_group
from hsm.wire import frames


def test_a_group_with_a_hole_is_no_group() -> None:
    """A power cut may keep the commit and lose a sector before it: such a group was never acknowledged."""
    first, seq, chain = frames.encode_group(0, frames.GENESIS, [b'{"t":"header"}'])
    second, _, _ = frames.encode_group(seq, chain, [b'{"x":"%s"}' % (b"y" * 400)] * 4)
    whole = first + second
    assert last_group(whole) == len(first)
    for at in range(512, len(whole) - 512, 512):
        assert last_group(whole[:at] + bytes(512) + whole[at + 512 :]) == 0
