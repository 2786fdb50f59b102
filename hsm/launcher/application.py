"""The user's Hydra application: how this process was started with it, and how it is started again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from hsm.core.errors import SweepError

MODULE = "hsm.launcher"


class Form(StrEnum):
    """How the interpreter was given the application."""

    SCRIPT = "script"
    MODULE = "module"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A Hydra application as it was called.

    `name` is the absolute path of a script, or a module's name; `directory` the working directory;
    `function` the qualified name of the decorated function; `now` the instants that Hydra's `${now:...}`
    has given out so far, by format.
    """

    form: Form
    name: str
    directory: Path
    function: str
    arguments: Sequence[str]
    now: Mapping[str, str] = field(default_factory=dict)


def running_application(function: str, now: Mapping[str, str]) -> Application:
    """Return the application that this process runs.

    Raises:
        SweepError: it was not started from a file or a module, so that it cannot be started again.
    """
    form, name = _program()
    return Application(
        form=form,
        name=name,
        directory=Path.cwd(),
        function=function,
        arguments=tuple(given_arguments(sys.orig_argv)),
        now=now,
    )


def _program() -> tuple[Form, str]:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return Form.MODULE, spec.name.removesuffix(".__main__")
    path = getattr(main, "__file__", None)
    if path is None:
        raise SweepError(
            "each job starts the application anew, and this one was not started from a file",
            hint="start it as `python app.py ...` or `python -m package.app ...`",
        )
    return Form.SCRIPT, str(Path(path).absolute())


def given_arguments(interpreter: Sequence[str]) -> Sequence[str]:
    """Return the application's arguments from the command line of its interpreter.

    Not those of `sys.argv`: an application may have added to them or taken from them, and will do so again.
    """
    words = iter(interpreter[1:])
    for word in words:
        if not word.startswith("-") or word == "-":
            break  # the script
        if not word.startswith("--") and "m" in word.lstrip("-") and word[1] not in "WX":
            if word.endswith("m"):
                next(words, None)
            break
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            next(words, None)
    return list(words)


def command(application: Application, project: Path) -> list[str]:
    """Return the command template of one job; what is in the project is named from there.

    The number of the job and its overrides are the parameters `hydra.job.num` and `hydra.overrides`.
    """
    name = application.name
    if application.form is Form.SCRIPT:
        name = _within(project, Path(name))
    return [
        "python",
        "-m",
        MODULE,
        f"--directory={_within(project, application.directory)}",
        f"--{application.form}={name}",
        f"--function={_literal(application.function)}",
        f"--now={_literal(json.dumps(dict(application.now)))}",
        f"--arguments={_literal(json.dumps(list(application.arguments)))}",
        "--number={hydra.job.num}",
        "--overrides={hydra.overrides}",
    ]


def _within(project: Path, path: Path) -> str:
    try:
        relative = path.relative_to(project)
    except ValueError:
        return _literal(str(path))
    inside = relative.as_posix()
    return "{project}" if inside == "." else "{project}/" + _literal(inside)


def _literal(text: str) -> str:
    """Return a text as the template that yields it."""
    return text.replace("{", "{{").replace("}", "}}")


def variables(environment: Mapping[str, str], copied: Sequence[str]) -> dict[str, str]:
    """Return the environment variables that jobs need wherever they run.

    These are the names of `hydra.job.env_copy`, and the import path, which may name folders relative to
    the working directory.
    """
    wanted = {name: environment[name] for name in copied if name in environment}
    places = environment.get("PYTHONPATH", "")
    if places:
        wanted["PYTHONPATH"] = os.pathsep.join(
            str(Path(place).absolute()) for place in places.split(os.pathsep)
        )
    return wanted
