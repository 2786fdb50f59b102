"""What came out of a sweep, task by task: rows and columns made from its ledger."""

from hsm.results.collect import results_of
from hsm.results.table import Results

__all__ = ["Results", "results_of"]
