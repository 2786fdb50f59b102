"""Reports: self-contained HTML pages that say what a sweep did.

They show what the ledger says and what tasks left behind, and keep no truth of their own.
"""

from hsm.report.completion import FILE_NAME, render
from hsm.report.evidence import LogTail, Picture
from hsm.report.view import Limits, ReportView

__all__ = ["FILE_NAME", "Limits", "LogTail", "Picture", "ReportView", "render"]
