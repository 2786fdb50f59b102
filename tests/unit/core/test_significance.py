"""q-values, combined p-values and the best of many, against what is known of them."""

from random import Random

import pytest
from scipy import stats

from hsm.core.significance import chance_of_best, fisher, is_p_value, q_value_of, q_values


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    """As SciPy has them, in the order of the runs."""
    rng = Random(1)
    p = [rng.random() ** 2 for _ in range(50)]
    assert q_values(p) == pytest.approx(stats.false_discovery_control(p).tolist())
    assert q_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_what_has_no_p_value_is_no_test() -> None:
    """Runs that could not be scored make nobody else's q larger; what is no probability is not one."""
    assert q_values([None, 0.01, None, 0.5, float("nan"), 2.0]) == pytest.approx(
        [None, 0.02, None, 0.5, None, None]
    )
    assert q_values([]) == []


def test_false_discoveries_among_true_ones_stay_below_the_level() -> None:
    """Over 300 hunts of 40 runs, 8 of them real, the mean share of false ones at q ≤ 0.1 is at most 0.1."""
    rng, shares = Random(2), []
    for _ in range(300):
        p = [rng.random() * (1e-4 if at < 8 else 1.0) for at in range(40)]
        found = [at for at, q in enumerate(q_values(p)) if q is not None and q <= 0.1]
        shares.append(sum(at >= 8 for at in found) / max(1, len(found)))
    assert 0.02 < sum(shares) / len(shares) <= 0.1


def test_hunts_of_nothing_find_nothing_as_often_as_said() -> None:
    """A hunt of 40 runs of chance has a q ≤ 0.1 in a tenth of the cases; a p ≤ 0.1 nearly always."""
    rng = Random(3)
    hunts = [[rng.random() for _ in range(40)] for _ in range(2000)]
    assert sum(min(q or 1 for q in q_values(p)) <= 0.1 for p in hunts) / 2000 == pytest.approx(0.1, abs=0.02)
    assert sum(min(p) <= 0.1 for p in hunts) / 2000 > 0.95


@pytest.mark.parametrize("p", [[0.5], [0.1, 0.2, 0.3], [1e-9, 1.0], [0.04] * 5])
def test_combined_p_values_are_those_of_fisher(p: list[float]) -> None:
    """As SciPy has them; one p-value is itself."""
    assert fisher(p) == pytest.approx(float(stats.combine_pvalues(p, method="fisher").pvalue), rel=1e-9)


def test_combining_nothing_claims_nothing() -> None:
    """And a p-value of 0 is certain."""
    assert fisher([]) == 1
    assert fisher([0.0, 0.5]) == 0


def test_chance_of_the_best_of_many() -> None:
    """1 − (1 − p)^n, also where that is small."""
    assert chance_of_best(0.05, 20) == pytest.approx(1 - 0.95**20)
    assert chance_of_best(1e-12, 10) == pytest.approx(1e-11)
    assert chance_of_best(1.0, 3) == 1


def test_p_values_are_known_by_their_names() -> None:
    """Nothing else is taken for one."""
    assert is_p_value("log_prime_p_value")
    assert not is_p_value("log_prime_p_spectrum")
    assert not is_p_value("_p_value")
    assert q_value_of("metric.pcs_p_value") == "metric.pcs_q_value"
