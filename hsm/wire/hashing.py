"""Hashes: SHA-256 over a domain name and the data, so that equal bytes of two kinds never meet."""

from __future__ import annotations

import hashlib
from typing import Any

from hsm.wire.canonical import canonical_json

EMPTY_SHA256 = hashlib.sha256().hexdigest()


def digest(domain: str, data: bytes) -> str:
    """Return the 64 hex digits of SHA-256 over `domain`, a NUL and `data`."""
    return hashlib.sha256(domain.encode("ascii") + b"\0" + data).hexdigest()


def config_hash(params: Any) -> str:
    """Return the identity of a parameter set. No time, host, path or position is in it."""
    return config_hash_of_json(canonical_json(params))


def config_hash_of_json(params_json: str) -> str:
    """Return the identity of a parameter set given as canonical JSON."""
    return digest("hsm.config.v1", params_json.encode("utf-8"))


def task_key(config_hash: str, seed: int, program_digest: str) -> str:
    """Return the identity of the work: these parameters, this seed, this program."""
    return digest("hsm.task.v1", f"{config_hash} {seed} {program_digest}".encode("ascii"))


def sha256_hex(data: bytes) -> str:
    """Return the plain SHA-256 of `data`, as `sha256sum` prints it."""
    return hashlib.sha256(data).hexdigest()
