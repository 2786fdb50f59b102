"""How many faults the tests have caused, for the last lines of a run."""

from collections import Counter

FAULTS: Counter[str] = Counter()
"""What was done, in words, and how often. What is lost or doubled fails a test, so it is not here."""
