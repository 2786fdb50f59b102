"""Let the wall clock jump: back two hours, ten years on, back again, and so on. Python imports this first.

Only the wall clock, as when somebody sets it; the monotonic one goes on. CLOCK_EVERY says after how many
looks at it.
"""

import itertools
import os
import time

_JUMPS_S = (-7200.0, 315_360_000.0, 0.0, -86400.0)


def _jumping(clock, unit, every):
    looks = itertools.count()

    def jump():
        return clock() + type(clock())(_JUMPS_S[next(looks) // every % len(_JUMPS_S)] * unit)

    return jump


if "CLOCK_EVERY" in os.environ:
    time.time = _jumping(time.time, 1, int(os.environ["CLOCK_EVERY"]))
    time.time_ns = _jumping(time.time_ns, 1_000_000_000, int(os.environ["CLOCK_EVERY"]))
