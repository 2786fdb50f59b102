"""What a run says that its scores can claim, and that its histograms are those of the p-values."""

import json

import numpy as np
import pytest

from hsm.physics import scores
from hsm.physics.claims import BINS, FEWEST_BINS, SAYINGS, claims, claims_text, histogram
from hsm.physics.measure import log_prime, structure, surrogates
from hsm.physics.outcome import Ending
from hsm.physics.scores import metrics
from hsm.physics.status import Status
from tests.unit.physics import made

UNSAID = {
    *("mean_rho", "mass", "max_amplitude", "free_energy", "defect_density_null", "structure_peak_k"),
    *("log_prime_peaks", "log_prime_p_spectrum", "log_prime_p_targets", "log_prime_p_field"),
}
"""Numbers that are no claims, or parts of one."""


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nulls 299 times at most."""
    monkeypatch.setattr(log_prime, "DRAWS", 299)
    monkeypatch.setattr(structure, "DRAWS", 299)
    monkeypatch.setattr(surrogates, "WORK", 299 * 64**2)


def test_every_score_has_a_sentence_or_is_no_claim() -> None:
    """A score that is added is not forgotten, and a p-value belongs to a score."""
    p_values = {saying.p_value for saying in SAYINGS.values() if saying.p_value}
    assert set(SAYINGS) | p_values | UNSAID == set(scores.names())
    assert all(saying.can.endswith(".") and saying.cannot.endswith(".") for saying in SAYINGS.values())


@pytest.mark.slow
def test_histograms_hold_the_draws_that_made_the_p_values() -> None:
    """Of each null: its p is one of metrics.json, and its bins hold every draw with a score."""
    artifact = made.artifact(made.ringed(1, 1.0), L=64.0)
    measured = metrics(artifact)
    said = json.loads(claims_text(artifact, measured))["scores"]
    found = {name: [null["p"] for null in said[name]["nulls"]] for name in said}
    assert found["pcs"] == [measured["pcs_p_value"]]
    assert found["pcs_local"] == [measured["pcs_local_p_value"]]
    names = ("log_prime_p_spectrum", "log_prime_p_targets", "log_prime_p_field")
    assert found["log_prime_sse"] == [measured[name] for name in names]
    assert found["defect_count"] == [None]
    for score in said.values():
        for null in score["nulls"]:
            assert FEWEST_BINS <= len(null["counts"]) <= BINS
            assert sum(null["counts"]) == null["draws"] - null["without_score"]
            if null["p"] is not None:
                assert null["p"] == (1 + null["reached"]) / (1 + sum(null["counts"]))
    assert len(claims_text(artifact, measured)) < 8_000


def test_a_run_without_scores_has_sentences_and_no_nulls() -> None:
    """Nothing is drawn for it."""
    ending = Ending(status=Status.BLOWN_UP, reason="not finite", step=3, t=0.5)
    artifact = made.artifact(np.full((64, 64), np.nan + 0j), ending=ending)
    said = claims(artifact, metrics(artifact))["scores"]
    assert isinstance(said, dict)
    assert all(score["value"] is None and score["nulls"] == [] for score in said.values())
    assert all(score["reason"] for score in said.values())


def test_bins_are_of_equal_width_in_the_logarithm_where_draws_span_much() -> None:
    """Draws that are all alike have a bin as well; those without a score are left out."""
    wide = histogram(np.array([0.001, 0.01, 0.1, np.nan]))
    assert (wide["log"], wide["low"], wide["high"]) == (True, 0.001, 0.1)
    assert np.flatnonzero(np.array(wide["counts"])).tolist() == [0, FEWEST_BINS // 2, FEWEST_BINS - 1]
    many = histogram(np.linspace(0, 1, 9_999))
    assert len(np.array(many["counts"])) == BINS
    same = histogram(np.array([2.0, 2.0]))
    assert (same["log"], same["low"], same["high"], sum(same["counts"])) == (False, 1.5, 2.5, 2)  # type: ignore[call-overload]


def test_bins_of_counts_hold_as_many_whole_numbers_each() -> None:
    """Defects come in pairs: without a gap between their bins, and the same in one bin as in the next."""
    pairs = histogram(np.array([4.0, 6, 6, 10, 14]))
    assert (pairs["log"], pairs["low"], pairs["high"], pairs["counts"]) == (False, 3, 15, [1, 2, 0, 1, 0, 1])
    many = histogram(2 * np.arange(100.0))
    assert (many["low"], many["high"], many["counts"]) == (-1, 199, [5] * 20)
    shared = histogram(np.arange(1, 1_000.0))
    assert len(np.array(shared["counts"])) <= BINS
    assert len(set(np.array(shared["counts"])[:-1].tolist())) == 1, "but for the last bin they are alike"
