"""When checkpoints are looked for and written, and what is said about it."""

import hashlib
import sys
import time

from hsm.physics.backend import processor, source_digest
from hsm.physics.checkpoint_state import CheckpointRefused
from hsm.physics.checkpointing import Found, Keeper, find
from hsm.physics.environment import Environment
from hsm.physics.plan import Plan
from hsm.physics.provenance import versions
from hsm.physics.recorder import Recorder
from hsm.physics.simulate import Segment

SHARE = 0.02  # of the time, at most, goes into periodic checkpoints


def facts(prepared: Plan, environment: Environment) -> dict[str, str]:
    """Return what must be equal in two attempts for one to go on where the other stopped."""
    digest = hashlib.sha256(prepared.params.canonical_json().encode()).hexdigest()
    return {
        "config_hash": environment.config_hash or "not set",
        "the hash of the parameters": digest[:16],
        **{f"the version of {name}": version for name, version in versions().items()},
        "the source of hsm.physics": source_digest()[:16],
    }


def look(prepared: Plan, environment: Environment) -> tuple[Found | None, str | None]:
    """Return the checkpoint to go on from, if there is one, or else why the one that is there is not used."""
    if environment.checkpoint is None:
        return None, None
    try:
        found = find(environment.checkpoint, facts(prepared, environment), prepared.grid.shape)
    except CheckpointRefused as refused:
        reason = f"the checkpoint {refused}"
        print(f"note: {reason}; the run begins anew", file=sys.stderr)
        return None, reason
    if found is not None:
        place = f"t = {found.kept.solver.step * prepared.schedule.h:.6g}"
        print(f"going on from the checkpoint at {place} of {prepared.params.T:.6g}", flush=True)
        if not is_same_processor(found):
            print(f"note: it was written on another processor ({found.kept.account.machine})", flush=True)
    return found, None


def is_same_processor(found: Found) -> bool:
    """Tell whether the rest of the run repeats bit for bit what it would have been."""
    return found.kept.account.machine == processor()


class Safety:
    """Writes the checkpoints of one attempt; without a folder for them there are none."""

    def __init__(self, environment: Environment, prepared: Plan, found: Found | None) -> None:
        self._keeper: Keeper | None = None
        if environment.checkpoint is not None:
            before = found.kept.account if found else None
            self._keeper = Keeper(
                environment.checkpoint,
                facts(prepared, environment),
                processor(),
                earlier=before.attempts if before else 0,
                spent_s=before.spent_s if before else 0.0,
            )
        self._every_s = environment.checkpoint_every_s
        self._saved_at, self._cost_s = time.monotonic(), 0.0

    def save_if_due(self, segment: Segment, recorder: Recorder) -> None:
        """Save once in a while, the more seldom the more it costs; with an interval of 0 each time."""
        wait_s = max(self._every_s, self._cost_s / SHARE) if self._every_s else 0.0
        if time.monotonic() - self._saved_at >= wait_s:
            self.save(segment, recorder)

    def save(self, segment: Segment, recorder: Recorder) -> bool:
        """Save now; tell whether the run is safe. A full disk does not end a run that may well finish."""
        if self._keeper is None:
            return False
        began, safe = time.monotonic(), True
        try:
            self._keeper.save(
                segment.checkpoint(),
                recorder.frame,
                recorder.file,
                cg_iterations=recorder.cg_iterations,
                own_s=recorder.watch.total_s,
            )
        except OSError as error:
            print(f"note: no checkpoint could be written: {error}", file=sys.stderr)
            safe = False
        self._saved_at = time.monotonic()
        self._cost_s = self._saved_at - began
        return safe

    def discard(self) -> None:
        """Remove the checkpoint: the run has its answer."""
        if self._keeper is not None:
            self._keeper.discard()
