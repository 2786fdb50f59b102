"""The place of an attempt: its directory, which is its claim, and its environment."""

from __future__ import annotations

import errno
import json
import os
from typing import Dict, List, Tuple

from hsm.wire.files import Files
from hsm.wire.messages import Hello, Run
from hsm.wire.names import task_id
from hsm.wire.yaml_text import yaml_lines

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EAGAIN})


class NoRoom(OSError):
    """The machine lacks something for now (space, descriptors, processes); it can be tried again later."""


def check_room(error: OSError) -> None:
    """Raise what may pass as such.

    Raises:
        NoRoom: it may.
    """
    if error.errno in NO_ROOM:
        raise NoRoom(error.errno, error.strerror, error.filename) from error


def claim(files: Files, sweep_dir: str, run: Run, *, is_again: bool) -> str:
    """Make an attempt's directory and return it.

    Raises:
        FileExistsError: the attempt has been claimed before.
        NoRoom: it has not, and may be later.
    """
    directory = os.path.join(sweep_dir, run.directory)
    try:
        files.make_directory(directory)
    except FileExistsError:
        if not is_again:
            raise
        _make_anew(files, directory)
    except OSError as error:
        raise NoRoom(error.errno, error.strerror, directory) from error
    return directory


def furnish(files: Files, directory: str, run: Run) -> None:
    """Put into an attempt's directory what is there when its program begins.

    Raises:
        OSError: there is no room.
    """
    files.make_directory(os.path.join(directory, "results"))
    files.write_new(
        os.path.join(directory, "params.yaml"), yaml_lines(json.loads(run.params)).encode("utf-8")
    )


def _make_anew(files: Files, directory: str) -> None:
    try:
        files.remove_tree(directory)
        files.make_directory(directory)
    except OSError as error:
        raise NoRoom(error.errno, error.strerror, directory) from error


def variables_of(
    run: Run, directory: str, *, sweep_dir: str, gpus: List[str], at: float
) -> Dict[bytes, bytes]:
    """Return the variables of one attempt, which began at this time."""
    task, place = task_id(run.task), os.fsencode(directory)
    deadline = "" if run.timeout_s is None else f"{at + run.timeout_s:.3f}"
    return {
        b"HSM_TASK_ID": task.encode(),
        b"HSM_ATTEMPT": b"%d" % run.attempt,
        b"HSM_TOKEN": run.token.encode(),
        b"HSM_CONFIG_HASH": run.config_hash.encode(),
        b"HSM_SEED": b"%d" % run.seed,
        b"HSM_PARAMS": place + b"/params.yaml",
        b"HSM_RESULTS": place + b"/results",
        b"HSM_DEADLINE": deadline.encode(),
        b"HSM_CHECKPOINT": os.fsencode(f"{sweep_dir}/.hsm/checkpoints/{task}"),
        b"CUDA_VISIBLE_DEVICES": os.fsencode(",".join(gpus)),
        b"PWD": place,
    }


_COMMON: Dict[int, Tuple[Hello, Dict[bytes, bytes]]] = {}


def common_variables(hello: Hello) -> Dict[bytes, bytes]:
    """Return the variables of every attempt of an epoch, encoded once."""
    known = _COMMON.get(hello.epoch)
    if known is None or known[0] is not hello:
        said = {**hello.variables, "HSM_PROJECT": hello.project}
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in said.items()}
        known = _COMMON[hello.epoch] = (hello, {**os.environb, **encoded})
    return known[1]


def cannot_start(files: Files, directory: str, argv: List[str], error: OSError) -> str:
    """Return why a program could not be started."""
    program = argv[0] if argv else ""
    is_there = os.sep in program and files.is_file(os.path.join(directory, program))
    if error.errno == errno.ENOENT and is_there:
        return f"cannot start {program}: the interpreter that its first line names is not there"
    if error.errno == errno.ENOENT and error.filename in (program, None):
        return f"program not found: {program}"
    if error.errno == errno.EACCES:
        return f"program is not executable: {program}"
    return f"cannot start {program}: {error.strerror or error}"
