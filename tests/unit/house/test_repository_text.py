"""The repository is for everybody: nothing in it points at one machine, or at the desk it was written on."""

import codecs
import re
import subprocess
from functools import cache

import pytest

from tests.unit.house.source_tree import ROOT

# Written in rot13, so that this file keeps the rule too. Each is a regular expression.
PRIVATE = tuple(
    re.compile(codecs.decode(pattern, "rot13"), flags)
    for pattern, flags in (
        # folders of one machine
        (r"(?<![\j.}>])/jbex/(znva|funerq|\.[n-m])", 0),
        (r"(?<![\j.}>])/(ebbg|bcg/(clcv|jurryf)|gzc/oevrs)\o", 0),
        # hosts that an installer knows better
        (
            r"\o(clcv\.bet|svyrf\.clgubaubfgrq\.bet|ertvfgel\.acz|qro\.qrovna\.bet|sgc\.qrovna\.bet)",
            re.IGNORECASE,
        ),
        # who wrote a line, and on whose list it stood, is for the history to say
        (r"\o(NV|YYZ|YYZf|TCG)\o", 0),
        (r"\o(pungtcg|pynhqr|naguebcvp|bcranv|pbcvybg)\o", re.IGNORECASE),
        (r"\o(ynathntr zbqry|pungobg)", re.IGNORECASE),
        (r"\o(guvf|gung|gur|na?|arkg|yngre|rneyvre|cerivbhf|bcra) vffhrf?\o(?! bs)", re.IGNORECASE),
        (r"\ovffhrf?[ -]?#?[0-9]", re.IGNORECASE),
        (
            r"\o(qrirybcre|pbqvat|guvf|arkg|yngre|n|rneyvre|cerivbhf) frffvba (fgnegrq|jebgr|ohvyg|jvyy)",
            re.IGNORECASE,
        ),
    )
)
UNFINISHED = re.compile(codecs.decode(r"\o(GBQB|SVKZR|KKK|UNPX)\o", "rot13"))


@cache
def _texts() -> tuple[tuple[str, str], ...]:
    """Read every text file that is, or would be, committed."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True)
    if listing.returncode != 0:
        pytest.skip("NOT A GIT CHECKOUT: which files belong to the repository is not known")
    paths = [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]
    contents = {path: path.read_bytes() for path in paths if path.is_file()}
    return tuple(
        (path.relative_to(ROOT).as_posix(), content.decode("utf-8", errors="replace"))
        for path, content in contents.items()
        if b"\0" not in content
    )


def _found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {match.group()}"
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def test_the_scan_sees_the_repository() -> None:
    """The scan reads this file and the licence, so an empty result means something."""
    paths = {path for path, _ in _texts()}
    assert {"tests/unit/house/test_repository_text.py", "LICENSE", "pyproject.toml"} <= paths


@pytest.mark.parametrize("pattern", PRIVATE, ids=[f"private{number}" for number in range(len(PRIVATE))])
def test_nothing_private_is_mentioned(pattern: re.Pattern[str]) -> None:
    """No file names a folder of one machine, a registry host, or the circumstances of its writing."""
    assert not _found(pattern)


def test_nothing_is_left_for_later() -> None:
    """No file has a note to finish it later."""
    assert not _found(UNFINISHED)


def test_no_secret_file_is_committed() -> None:
    """Keys and environments stay out of the repository."""
    bad = [path for path, _ in _texts() if re.search(r"(^|/)(\.env|id_[a-z0-9]+|.*\.(pem|key))$", path)]
    assert not bad
