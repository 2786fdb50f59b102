"""Errors have one shape, every problem is listed, and a defect leaves its traceback in a file."""

import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from hsm.cli import boundary, entry
from hsm.cli.console import Console
from hsm.cli.main import main
from hsm.core.errors import (
    ConfigError,
    EngineRunning,
    ExitCode,
    HsmError,
    LedgerFull,
    Problem,
    SourceError,
    SweepError,
)


def _shown(error: HsmError, *, as_json: bool = False) -> tuple[ExitCode, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = boundary.expected(Console(out, err, {}, as_json=as_json), error)
    return code, out.getvalue(), err.getvalue()


def _caused(error: HsmError, *causes: BaseException) -> HsmError:
    link: BaseException = error
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return error


def test_an_error_says_what_why_and_what_to_do() -> None:
    """error, caused by for each link, a blank line, hint."""
    error = SourceError("local", "its agent does not answer", hint="see the log")
    _, out, err = _shown(_caused(error, OSError(111, "Connection refused"), ValueError("bad line\nmore")))
    assert out == ""
    assert err == (
        "error: source 'local': its agent does not answer\n"
        "caused by: Connection refused\n"
        "caused by: bad line\n"
        "\n"
        "hint: see the log\n"
    )


def test_every_problem_of_a_configuration_is_listed_with_its_hint() -> None:
    """Two problems are two entries, each with its place and its hint."""
    problems = [
        Problem(where="a.yaml:3:1", message="no key `swep`", hint="did you mean `sweep`?"),
        Problem(where="a.yaml:9:5", message="k is 'x'; expected a number"),
    ]
    code, _, err = _shown(ConfigError(problems))
    assert code == 2
    assert err == (
        "error: 2 problems in the configuration\n"
        "\n"
        "  a.yaml:3:1: no key `swep`\n"
        "    hint: did you mean `sweep`?\n"
        "\n"
        "  a.yaml:9:5: k is 'x'; expected a number\n"
    )


def test_a_single_problem_is_the_error_itself() -> None:
    """One problem needs no list."""
    _, _, err = _shown(ConfigError([Problem(where="a.yaml:1:1", message="empty", hint="write something")]))
    assert err == "error: a.yaml:1:1: empty\n\nhint: write something\n"


def test_json_errors_have_code_message_hint_and_problems() -> None:
    """The envelope on stdout says everything, the words stay on stderr."""
    problems = [Problem(where="a", message="m", hint="h"), Problem(where="b", message="n")]
    _, out, err = _shown(ConfigError(problems), as_json=True)
    found = json.loads(out)
    assert (found["hsm"], found["kind"]) == (1, "error")
    assert found["error"]["code"] == "config.invalid"
    assert found["error"]["transient"] is False
    assert found["error"]["problems"][1] == {"where": "b", "message": "n", "hint": ""}
    assert err.startswith("error: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([Problem(where="", message="m")]), 2),
        (SweepError("m"), 2),
        (SourceError("local", "m"), 3),
        (EngineRunning("m"), 3),
        (LedgerFull("m", transient=True), 3),
    ],
)
def test_each_error_has_its_exit_code(error: HsmError, code: int) -> None:
    """Input is 2, infrastructure is 3."""
    assert _shown(error)[0] == code


def test_control_characters_of_a_message_are_escaped() -> None:
    """A file name with an escape code in it cannot paint the terminal."""
    assert "\\x1b[31m" in _shown(SweepError("no \x1b[31m sweep"))[2]


def _defect(environment: dict[str, str]) -> str:
    err = io.StringIO()
    with pytest.raises(RuntimeError) as caught:
        _fail()
    boundary.defect(Console(io.StringIO(), err, {}), caught.value, ["sweep", "list"], environment)
    return err.getvalue()


def _fail() -> None:
    raise RuntimeError("unheard of")


def test_a_defect_keeps_its_traceback_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user sees one line and a path; the file has traceback, version and arguments."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = _defect({})
    assert said.startswith("error: HSM has a defect: RuntimeError: unheard of\n")
    assert "Traceback" not in said
    match = re.search(r"report it with (\S+);", said)
    assert match is not None
    saved = Path(match[1]).read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in saved
    assert "arguments: ['sweep', 'list']" in saved


def test_the_traceback_is_shown_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HSM_TRACEBACK=1 is for whoever looks for the defect."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert "Traceback (most recent call last)" in _defect({"HSM_TRACEBACK": "1"})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["sweep", "list", "--json"], True), (["x", "--", "--json"], False), ([], False)],
)
def test_whether_json_is_wanted_is_known_before_parsing(arguments: list[str], expected: bool) -> None:
    """What stands behind `--` is no option."""
    assert boundary.wants_json(arguments) is expected


def test_the_operating_system_is_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An OSError that nobody expected still is an error in words, with exit code 3."""
    error = FileNotFoundError(2, "No such file or directory", str(tmp_path / "x"))
    assert boundary.machine(Console.standard(), error) == 3
    assert capsys.readouterr().err == f"error: {tmp_path}/x: No such file or directory\n"


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (PermissionError(13, "Permission denied", "/a b/.out.csv.part"), "/a b/out.csv: ", "ls -ld '/a b'"),
        (PermissionError(13, "Permission denied", "/x/.new.yaml.123.part"), "/x/new.yaml: ", "who may"),
        (FileNotFoundError(2, "No such file", "/no/such/x.part"), "/no/such/x: ", "mkdir -p /no/such"),
        (OSError(28, "No space left on device", "stdout"), "stdout: No space", "free space"),
        (OSError(28, "No space left on device"), "No space", "free space"),
        (OSError(24, "Too many open files", 7), "Too many", "ulimit -n"),
        (OSError("odd"), "odd", ""),
    ],
)
def test_what_is_refused_is_named_as_the_user_knows_it(error: OSError, said: str, hint: str) -> None:
    """Not as the draft beside it; and with what can be done."""
    message, fix = boundary.refusal(error)
    assert message.startswith(said)
    assert (hint in fix) if hint else not fix


def test_an_error_is_told_although_stdout_is_full() -> None:
    """The envelope cannot be written; the words are."""

    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    err = io.StringIO()
    boundary.machine(Console(Full(), err, {}, as_json=True), OSError(28, "No space left on device", "stdout"))
    assert err.getvalue() == "error: stdout: No space left on device\n\nhint: free space there\n"


def test_no_sweep_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking at the last sweep where there is none says how to start one."""
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "status"]) == 2
    assert "hint: start one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["sweep", "runn"], "hsm sweep run"),
        (["sweep", "Status"], "hsm sweep status"),
        (["swep"], "hsm sweep"),
        (["run"], "hsm sweep run"),
        (["logz"], "hsm logs"),
        (["monitor", "wacth"], "hsm monitor watch"),
    ],
)
def test_an_unknown_command_names_the_one_that_was_meant(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip of the finger, or a command whose group was left out."""
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        f"error: no such command {words[-1]!r}\n\nhint: did you mean `{meant}`?\n"
    )


def test_an_unknown_command_like_no_other_is_answered_by_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed from nothing."""
    assert main(["sweep", "qqq"]) == ExitCode.USAGE
    assert "hint: `hsm sweep --help` shows how it is used" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["hsm.cli.main", "hsm.cli.commands.sweep_list"])
def test_ctrl_c_while_modules_are_imported_is_no_traceback(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quick Ctrl-C is as good as a late one, also where Python wraps it up in another error."""

    def pressed(*_args: object) -> int:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    def pressed_early() -> int:
        raise KeyboardInterrupt

    stand_in = SimpleNamespace(main=pressed_early)
    if where == "hsm.cli.main":
        monkeypatch.setitem(sys.modules, where, cast("ModuleType", stand_in))
    else:
        monkeypatch.setattr("hsm.cli.lazy.import_module", pressed)
    monkeypatch.setattr(sys, "argv", ["hsm", "sweep", "list"])
    try:
        code = entry.main()
    except SystemExit as error:
        code = cast("int", error.code)
    assert (code, capsys.readouterr().err) == (130, "interrupted\n")
