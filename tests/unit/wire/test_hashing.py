"""Identities and names: fixed for ever, because results on disk carry them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.wire import hashing, names
from hsm.wire.canonical import NotCanonical

PARAMS = {"k": 0.1, "n": 32, "mode": "fast", "nested": {"on": True, "off": None}}


def test_known_hashes() -> None:
    """The identity of a parameter set and of its work, digit by digit."""
    assert hashing.config_hash(PARAMS) == "eca14d6e5614c8baa0a3c22dde9a7b82d04ce8862caaf14f4475e3b7873f7137"
    assert hashing.config_hash({}) == "91b9414ccdbdc54f5867b7045023f4e36bb24b356dd24020aa3a84efa1c6276e"
    assert (
        hashing.task_key("0" * 64, 3, "f" * 64)
        == "c6a2f4e6cd4e4a650e48e6a50e3c10c990efdd456bd3c8d2ce69d279030f2ad2"
    )
    assert hashing.sha256_hex(b"") == hashing.EMPTY_SHA256


def test_a_config_hash_is_sha256_of_domain_and_canonical_json() -> None:
    r"""Anybody can compute it: `printf 'hsm.config.v1\0{...}' | sha256sum`."""
    expected = hashlib.sha256(b'hsm.config.v1\0{"a":1,"b":[]}').hexdigest()
    assert hashing.config_hash({"b": [], "a": 1}) == expected
    assert hashing.config_hash_of_json('{"a":1,"b":[]}') == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": True}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": "1"}, {"a": 1}),
        ({"a": [1]}, {"a": 1}),
    ],
)
def test_values_of_different_type_are_different_work(one: dict, other: dict) -> None:
    """1, 1.0, true and "1" are four values."""
    assert hashing.config_hash(one) != hashing.config_hash(other)


def test_equal_bytes_of_two_kinds_never_meet() -> None:
    """The domain is part of the hash."""
    assert hashing.digest("hsm.config.v1", b"x") != hashing.digest("hsm.program.v1", b"x")


def test_the_work_depends_on_parameters_seed_and_program() -> None:
    """Each of the three makes it other work."""
    base = ("0" * 64, 0, "1" * 64)
    keys = {
        hashing.task_key(*base),
        hashing.task_key("2" * 64, 0, "1" * 64),
        hashing.task_key("0" * 64, 1, "1" * 64),
        hashing.task_key("0" * 64, 0, "3" * 64),
    }
    assert len(keys) == 4


def test_what_cannot_be_hashed_is_refused() -> None:
    """There is no identity for a parameter set that has no canonical text."""
    with pytest.raises(NotCanonical):
        hashing.config_hash({"x": float("nan")})


@given(st.integers(1, 10**9))
def test_a_task_id_and_its_index_name_each_other(index: int) -> None:
    """With or without leading word and zeros."""
    name = names.task_id(index)
    assert name.startswith("task_")
    assert len(name) >= 9
    assert names.task_index(name) == names.task_index(str(index)) == index


@pytest.mark.parametrize(
    "name", ["", "task_", "0", "task_0000", "-1", "１２", "²", "task_1/..", "task_x", " 1"]
)
def test_what_names_no_task_is_refused(name: str) -> None:
    """Only ASCII digits from 1 on count."""
    with pytest.raises(ValueError, match="not a task id"):
        names.task_index(name)


def test_an_attempt_directory_is_unique_and_can_be_found_without_the_ledger() -> None:
    """Task, attempt number and the beginning of the token."""
    assert names.attempt_dir(7, 2, "0123456789abcdef" * 2) == "task_0007.2-01234567"


@given(st.binary(min_size=32, max_size=32))
def test_a_short_hash_is_a_file_name(digest: bytes) -> None:
    """26 letters of lower-case base32: 130 bits, fit for any file system."""
    short = names.short_hash(digest.hex())
    assert len(short) == 26
    assert short.isascii()
    assert short.isalnum()
    assert short == short.lower()


@pytest.mark.parametrize("name", ["heat-20260101-120000-ab2c", "a", "0.b_c-d"])
def test_sweep_ids_are_safe_names(name: str) -> None:
    """Lower case letters, digits, dots, underscores and dashes."""
    assert names.SWEEP_ID.fullmatch(name)


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "A", "a/b", "a b", "é", "a" * 97, "a\n"])
def test_unsafe_sweep_ids_are_refused(name: str) -> None:
    """Nothing that a shell, a path or a terminal could take for something else."""
    assert not names.SWEEP_ID.fullmatch(name)
