"""Orders that can never run are refused before anything is handed over."""

import pytest

from hsm.compute.refusal import refusal
from hsm.core.source import AttemptOrder, Capabilities, Rejected
from hsm.core.spec import Resources


def order(*argv: str, gpus: int = 0) -> AttemptOrder:
    return AttemptOrder(
        task=1,
        attempt=1,
        token="a" * 32,
        directory="d",
        argv=argv,
        params_json="{}",
        seed=0,
        config_hash="c",
        task_key="k",
        resources=Resources(gpus=gpus),
    )


@pytest.mark.parametrize(
    ("wanted", "offered", "reason"),
    [
        (order(), 0, "no command"),
        (order("", "x"), 0, "no command"),
        (order("echo", "a\0b"), 0, "NUL"),
        (order("true", gpus=1), 0, "1 GPU and the source has 0"),
        (order("true", gpus=3), 2, "3 GPUs and the source has 2"),
    ],
)
def test_what_can_never_run_is_refused_with_a_reason(wanted: AttemptOrder, offered: int, reason: str) -> None:
    """No command, a NUL in it, more GPUs than there are."""
    refused = refusal(wanted, Capabilities(slots=1, gpus=offered))
    assert isinstance(refused, Rejected)
    assert reason in refused.reason


@pytest.mark.parametrize("wanted", [order("true"), order("true", gpus=2), order("x", "", "\n", "é")])
def test_everything_else_is_taken(wanted: AttemptOrder) -> None:
    """A program that is not there is the program's affair, not the source's."""
    assert refusal(wanted, Capabilities(slots=1, gpus=2)) is None
