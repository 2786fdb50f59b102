"""Reports: self-contained pages that say what a sweep did, and what several did side by side.

They show what the ledger says and what tasks left behind, and keep no truth of their own.
"""

from hsm.report.comparison import render_comparison
from hsm.report.completion import FILE_NAME, render
from hsm.report.documents import documents
from hsm.report.error_analysis import render_errors
from hsm.report.evidence import LogTail, Picture
from hsm.report.figure import Figure
from hsm.report.performance import Performance
from hsm.report.scores import render_scores
from hsm.report.view import Limits, ReportView

__all__ = [
    "FILE_NAME",
    "Figure",
    "Limits",
    "LogTail",
    "Performance",
    "Picture",
    "ReportView",
    "documents",
    "render",
    "render_comparison",
    "render_errors",
    "render_scores",
]
