"""The state of a run in one file, and how it is known to be whole and to belong to the run.

A line that names the format, the SHA-256 of the rest, a line of JSON, and the arrays, raw. Whatever happened
to such a file, reading it gives what was written or `CheckpointRefused`; nothing in it becomes code.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsm.physics.plan import Checkpoint
from hsm.physics.simulate import Frame

FORMAT = b"hsm.physics.checkpoint/1"
KINDS = frozenset({"<f4", "<f8", "<c8", "<c16"})


class CheckpointRefused(ValueError):
    """A checkpoint that this run cannot go on from; the message completes "the checkpoint ..."."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a checkpoint knows beside the state of the solver.

    facts: what must be equal in the run that goes on (`safety.facts`). machine: the processor. frames: how
    many there were, and in which file of the folder, with which SHA-256. cg_iterations: since the last frame.
    attempts: how many worked on it so far; spent_s: their time.
    """

    facts: Mapping[str, str]
    machine: str
    frames: int
    frames_file: str
    frames_sha256: str
    cg_iterations: int
    attempts: int
    spent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A whole checkpoint but for the frames: solver, field of the last frame, and the rest."""

    solver: Checkpoint
    psi: np.ndarray[Any, Any]
    omega: np.ndarray[Any, Any] | None
    account: Account


def encoded(solver: Checkpoint, last: Frame, account: Account) -> bytes:
    """Return the content of the file."""
    arrays = {f"solver.{name}": array for name, array in solver.arrays.items()}
    arrays["psi"] = last.psi
    if last.omega is not None:
        arrays["omega"] = last.omega
    little = {name: np.asarray(a, a.dtype.newbyteorder("<"), order="C") for name, a in arrays.items()}
    head = {
        "step": solver.step,
        "alpha": solver.alpha.hex(),
        "arrays": [[name, a.dtype.str, list(a.shape)] for name, a in little.items()],
        "account": {name: getattr(account, name) for name in Account.__slots__},
    }
    body = b"".join([json.dumps(head).encode(), b"\n", *(a.tobytes() for a in little.values())])
    return b"\n".join([FORMAT, hashlib.sha256(body).hexdigest().encode(), body])


def decoded(content: bytes) -> Kept:
    """Return what a file holds.

    Raises:
        CheckpointRefused: it is damaged, or of another format.
    """
    name, _, rest = content.partition(b"\n")
    digest, _, body = rest.partition(b"\n")
    if name != FORMAT:
        raise CheckpointRefused("is damaged or of another format")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointRefused("is damaged: its SHA-256 is not the one it names")
    line, _, raw = body.partition(b"\n")
    head = json.loads(line)
    arrays = _arrays(head["arrays"], raw)
    solver = {key.removeprefix("solver."): a for key, a in arrays.items() if key.startswith("solver.")}
    return Kept(
        solver=Checkpoint(step=head["step"], alpha=float.fromhex(head["alpha"]), arrays=solver),
        psi=arrays["psi"],
        omega=arrays.get("omega"),
        account=Account(**head["account"]),
    )


def _arrays(listed: list[tuple[str, str, list[int]]], raw: bytes) -> dict[str, np.ndarray[Any, Any]]:
    arrays, place = {}, 0
    for name, kind, shape in listed:
        if kind not in KINDS:
            raise CheckpointRefused(f"holds an array of an unknown kind, {kind}")
        dtype, count = np.dtype(kind), int(np.prod(shape, dtype=int))
        found = np.frombuffer(raw, dtype, count, place).reshape(shape)
        arrays[name] = found.astype(dtype.newbyteorder("="))
        place += found.nbytes
    return arrays
