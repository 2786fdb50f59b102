"""The contract of compute sources, as one class to subclass.

    class TestMySource(SourceContract):
        def make_source(self, world, project, slots):
            return MySource(world, slots=slots)

Programs of the cases are lines of `/bin/sh`; they and the test must see one disk (the same machine, or a
shared file system). `docs/reference/source-contract.md` tells the rest.
"""

from __future__ import annotations

from hsm.compute.testing.case import cases, not_shown
from hsm.compute.testing.cases.artifacts import ArtifactCases
from hsm.compute.testing.cases.batches import BatchCases
from hsm.compute.testing.cases.endings import EndingCases
from hsm.compute.testing.cases.handover import HandoverCases
from hsm.compute.testing.cases.observing import ObservingCases
from hsm.compute.testing.cases.resolution import ResolutionCases
from hsm.compute.testing.cases.surroundings import SurroundingsCases
from hsm.compute.testing.cases.survival import SurvivalCases
from hsm.compute.testing.cases.withdrawal import WithdrawalCases

__all__ = ["SourceContract", "cases", "not_shown"]


class SourceContract(
    HandoverCases,
    EndingCases,
    SurroundingsCases,
    ArtifactCases,
    WithdrawalCases,
    SurvivalCases,
    ResolutionCases,
    ObservingCases,
    BatchCases,
):
    """Everything that a compute source promises."""
