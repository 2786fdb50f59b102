"""The tests of the solver catch planted bugs (`make physics-mutants` plants all of them)."""

import pytest

from tests.integration.physics.mutants import MUTANTS, ROOT, main

pytestmark = pytest.mark.integration
SOME = ("real part of the contour mean", "wave number off by one", "tolerance ignored")


def test_every_mutant_still_has_its_place() -> None:
    """The text that a mutant replaces stands in its module exactly once."""
    for mutant in MUTANTS:
        source = (ROOT / "hsm/physics" / f"{mutant.module}.py").read_text(encoding="utf-8")
        assert source.count(mutant.good) == 1, mutant.name
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12


def test_some_mutants_are_caught(capsys: pytest.CaptureFixture[str]) -> None:
    """Three of them, one for each part of the solver."""
    assert main(SOME) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3/3 caught"
