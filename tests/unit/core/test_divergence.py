"""Divergence: two attempts of one task are compared by their results alone."""

from __future__ import annotations

import pytest

from hsm.core import events as ev
from hsm.core.divergence import differing, divergence
from hsm.wire.manifest import Entry


def entries(**files: str) -> list[Entry]:
    return [Entry(path.replace("__", "/").replace("_", "."), 1, digest) for path, digest in files.items()]


BASE = entries(metrics_json="m", results__a_h5="a", results__b_h5="b", stdout_log="s", params_yaml="p")


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (entries(metrics_json="m", results__a_h5="a", results__b_h5="b", stdout_log="t", notes_txt="n"), []),
        (entries(metrics_json="x", results__a_h5="a", results__b_h5="b"), ["metrics.json"]),
        (entries(metrics_json="m", results__a_h5="x", results__b_h5="b"), ["results/a.h5"]),
        (entries(metrics_json="m", results__a_h5="a"), ["results/b.h5"]),
        (entries(results__a_h5="a", results__b_h5="b", results__c_h5="c"), ["metrics.json", "results/c.h5"]),
        ([], ["metrics.json", "results/a.h5", "results/b.h5"]),
    ],
)
def test_only_results_are_compared(other: list[Entry], names: list[str]) -> None:
    """Logs hold times, parameters are the same by definition; it makes no difference which comes first."""
    assert differing(BASE, other) == names
    assert differing(other, BASE) == names


def test_what_is_recorded_names_the_first_files_and_counts_all() -> None:
    """An event stays small; results that agree leave no event at all."""
    many = [Entry(f"results/{number:02d}", 1, "d") for number in range(20)]
    event = divergence(7, attempt=2, of=1, later=BASE, earlier=[*BASE, *many], at=3.0)
    assert event == ev.ResultsDiverged(
        task=7, attempt=2, of=1, files=tuple(f"results/{n:02d}" for n in range(5)), count=20, at=3.0
    )
    assert divergence(7, attempt=2, of=1, later=BASE, earlier=BASE, at=3.0) is None
