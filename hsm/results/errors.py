"""What can be wrong with a question about results."""

from __future__ import annotations

from hsm.core.errors import ExitCode, HsmError


class UnknownColumn(HsmError):
    """A name that is no column, or that may mean several."""

    code = "results.column"
    exit_code = ExitCode.USAGE


class MissingPackage(HsmError):
    """A package that HSM can do without is needed for this, and is not installed."""

    code = "package.missing"
    exit_code = ExitCode.USAGE

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the package {package} is not installed",
            hint=f"`pip install {package}`, or `pip install 'hsm[{extra}]'`",
        )
