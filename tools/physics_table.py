"""Write the verification table of docs/explanation/physics-verification.md out of what the tests measure.

    python tools/physics_table.py          runs the physics tests, a few minutes
    python tools/physics_table.py FILE     reads what `pytest -rP` printed

Each line `figure: NAME: VALUE` that a test prints becomes a row; the sections are the test files, told by the
first line of their docstrings.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/explanation/physics-verification.md"
FOLDERS = ("tests/unit/physics", "tests/integration/physics")
BEGIN, END = "<!-- begin: written by tools/physics_table.py -->", "<!-- end -->"


def main(arguments: list[str]) -> int:
    """Write the table; return the exit status."""
    output = Path(arguments[0]).read_text(encoding="utf-8") if arguments else measured()
    sections: dict[str, list[str]] = {}
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).glob("test_*.py"))):
        source = path.read_text(encoding="utf-8")
        tests = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
        rows = [row for test in tests for row in figures_of(test, output)]
        if rows:
            title = (ast.get_docstring(ast.parse(source)) or path.stem).splitlines()[0].rstrip(".")
            sections[title] = rows
    if not sections:
        print("no figures were found", file=sys.stderr)
        return 1
    table = "\n\n".join(
        f"**{title}**\n\n| check | measured |\n|---|---|\n" + "\n".join(rows)
        for title, rows in sections.items()
    )
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")
    return 0


def measured() -> str:
    """Run the tests and return what they print."""
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", *FOLDERS]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def figures_of(test: str, output: str) -> list[str]:
    """Return the rows of one test, in the order in which they were printed."""
    rows = []
    for block in re.split(r"^_{3,} (?=test_)", output, flags=re.MULTILINE)[1:]:
        if re.match(rf"{test}(\[| )", block):
            for line in re.findall(r"^figure: (.*)$", block, re.MULTILINE):
                name, _, value = line.rpartition(": ")
                rows.append(f"| {name} | {value} |".replace("|psi - flat|", "\\|psi − flat\\|"))
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
