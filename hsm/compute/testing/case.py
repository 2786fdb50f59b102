"""How a case is written: a coroutine that is given an open site, wrapped so that any pytest can run it."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hsm.compute.testing.ability import EVERYTHING, Ability
from hsm.compute.testing.site import Setting, Site
from hsm.core.source import ComputeSource
from hsm.core.world import World

Body: TypeAlias = Callable[..., Awaitable[None]]
_NEEDS = "needs"


class CaseBase:
    """What a source must tell for the cases to run over it."""

    abilities: frozenset[Ability] = EVERYTHING
    """What the source can show; a case that needs more is skipped, with the reason."""

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        """Return the source under test as a new manager finds it. Called once for each manager."""
        raise NotImplementedError

    def kill_agent(self, site: Site) -> None:
        """Kill the agent so that it can say and do nothing more. The default: a process of this machine."""
        pid = site.agent_pid
        assert pid is not None, "there is no agent to kill"
        os.kill(pid, signal.SIGKILL)

    def proceed(self) -> None:
        """Take notice that a gate was opened. Real programs notice by themselves."""

    @pytest.fixture
    def site(self, tmp_path: Path) -> Path:
        """Return where the site will be; the case opens it."""
        return tmp_path


def case(*needs: Ability, **setting: Any) -> Callable[[Body], Callable[..., None]]:
    """Make a test of a coroutine. It is given an open site, and afterwards nothing of the site may be left.

    Args:
        needs: what the source must be able to show.
        setting: fields of `Setting`.
    """

    def wrap(body: Body) -> Callable[..., None]:
        @functools.wraps(body)
        def test(self: CaseBase, site: Path, **arguments: Any) -> None:
            missing = sorted(set(needs) - self.abilities)
            if missing:
                pytest.skip(f"NOT SHOWN by {type(self).__name__}: {'; '.join(missing)}")
            asyncio.run(_perform(functools.partial(body, self), self, site, Setting(**setting), arguments))

        setattr(test, _NEEDS, frozenset(needs))
        return test

    return wrap


async def _perform(
    body: Body, contract: CaseBase, root: Path, setting: Setting, arguments: dict[str, Any]
) -> None:
    site = Site(World(), root, contract.make_source, setting, contract.proceed)
    try:
        await site.open()
        await body(site, **arguments)
        await site.finish()
    finally:
        await site.close()


def cases(contract: type[CaseBase]) -> dict[str, frozenset[Ability]]:
    """Return the names of all cases of a contract, and what each of them needs."""
    return {
        name: getattr(contract, name).needs
        for name in dir(contract)
        if name.startswith("test_") and hasattr(getattr(contract, name), _NEEDS)
    }


def not_shown(contract: type[CaseBase]) -> set[str]:
    """Return the names of the cases that are skipped for a contract's source."""
    return {name for name, needs in cases(contract).items() if needs - contract.abilities}
