"""How many faults the tests have caused, for the last lines of a run."""

from collections import Counter

FAULTS: Counter[str] = Counter()
"""What was done, in words, and how often. A test that finds something lost or doubled fails, so neither is here."""
