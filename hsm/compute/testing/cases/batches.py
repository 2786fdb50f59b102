"""Cases of batches: attempts that share a process, and are each an attempt of its own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.cases.artifacts import fetched_report
from hsm.compute.testing.cases.endings import exit_of
from hsm.compute.testing.processes import wait_gone
from hsm.compute.testing.site import GONE_S, Gate, Site
from hsm.core.source import AttemptOrder, CancelOutcome
from hsm.core.states import AttemptState, Cause

# Does what the parameters of each member say, one after the other, and notes for each who it is.
WORKER = """
import json, os, sys
def perform(member, act, gate):
    if act == "hold":
        open(gate).readline()
    elif act == "listen":
        return 0 if member["token"] not in json.loads(sys.stdin.readline())["cancel"] else 7
    elif act == "crash":
        os.kill(os.getpid(), 11)
    elif act == "fail":
        return 3
    with open(member["variables"]["HSM_RESULTS"] + "/answer", "w") as answer:
        answer.write(member["variables"]["HSM_TASK_ID"])
    return 0
with open(int(os.environ["HSM_BATCH_FD"]), "w") as ends:
    for line in iter(sys.stdin.readline, ""):
        for member in json.loads(line).get("members", ()):
            params = member["params"]
            with open(params["log"], "a") as log:
                log.write("%s %d\\n" % (member["variables"]["HSM_TASK_ID"], os.getpid()))
            code = perform(member, params["act"], params["gate"])
            print(json.dumps({"token": member["token"], "exit": code}), file=ends, flush=True)
"""
COMMAND = (sys.executable, "-I", "-S", "-c", WORKER)


async def submit(
    site: Site, *acts: str, batch: str, gate: Gate | None = None, attempt: int = 1
) -> list[AttemptOrder]:
    """Hand over the attempts of one batch, by what each of them does."""
    assert site.session.capabilities.batches, "it knows no batches: leave Ability.BATCHES out of `abilities`"
    told = {"log": str(site.log), "gate": str(gate.path) if gate else ""}
    made = (site.order(COMMAND, params={**told, "act": act}, batch=batch) for act in acts)
    orders = [replace(order, attempt=attempt) for order in made]
    await site.session.submit(orders)
    return orders


def begun(site: Site) -> dict[str, list[int]]:
    """Return, by task, the processes in which it was begun."""
    found: dict[str, list[int]] = {}
    for line in site.runs():
        task_id, _, pid = line.partition(" ")
        found.setdefault(task_id, []).append(int(pid))
    return found


def processes(site: Site, orders: Sequence[AttemptOrder]) -> set[int]:
    """Return the processes in which attempts were begun, each of them once."""
    found = begun(site)
    times = [found[f"task_{order.task:04}"] for order in orders]
    assert all(len(pids) == 1 for pids in times), "each is begun once"
    return {pid for pids in times for pid in pids}


class BatchCases(CaseBase):
    """Attempts of one batch share a process; how each ends is told, recorded and brought home for itself."""

    @case(Ability.BATCHES, slots=1)
    async def test_members_of_a_batch_have_an_end_and_a_report_each(self, site: Site) -> None:
        """One fails, the others do not; what ends their process in the end is the end of one that is alone.

        What had ended before the process crashes, in its next batch, keeps its end; of the others nothing is
        known.
        """
        first = await submit(site, "do", "fail", "do", batch="first")
        again = await submit(site, "do", batch="again", attempt=2)
        second = await submit(site, "do", "crash", "do", batch="second")
        third = await submit(site, "crash", batch="third")
        orders = [*first, *again, *second, *third]
        endings = await site.ended(orders)
        own, batch = Cause.APPLICATION, Cause.BATCH
        assert [seen.cause for seen in endings] == [None, own, None, None, None, batch, batch, own]
        assert [exit_of(seen).code for seen in endings[:5]] == [0, 3, 0, 0, 0]
        assert "SIGSEGV" in endings[5].reason
        assert exit_of(endings[7]).signal == signal.SIGSEGV
        used = [processes(site, group) for group in (first, [*again, *second[:2]], third)]
        assert [len(each) for each in used] == [1, 1, 1]
        assert len(set.union(*used)) == 3, "what is tried again is not begun in a process that has served"
        for order, seen in zip(orders, endings, strict=True):
            directory, report = await fetched_report(site, order, seen)
            assert (report["token"], report["config_hash"]) == (order.token, order.config_hash)
            assert report["batch"] == {"id": order.batch, "members": 1 if order in [*again, *third] else 3}
            if seen.cause is None:
                assert (directory / "results" / "answer").read_text() == f"task_{order.task:04}"

    @case(Ability.BATCHES, slots=1, grace_s=20)
    async def test_a_later_manager_adopts_a_batch_and_cancels_one_of_it_alone(self, site: Site) -> None:
        """Each is found by its token; the others run on, in the same process, and none is begun twice.

        One that runs hears of its end, one that waits never begins.
        """
        gate = site.gate()
        running = await submit(site, "do", "listen", "hold", batch="runs", gate=gate)
        waiting = await submit(site, "do", "do", "do", batch="waits")
        orders = [*running, *waiting]
        await site.ended(running[:1])
        await site.running(running[1])
        await site.drop()
        await site.open()
        tokens = [order.token for order in orders]
        assert set(await site.session.find(tokens)) == set(tokens)
        assert list((await site.session.cancel([tokens[0], tokens[1], tokens[4]])).values()) == [
            CancelOutcome.ALREADY_ENDED,
            CancelOutcome.REQUESTED,
            CancelOutcome.REQUESTED,
        ]
        await site.session.recall([tokens[2], tokens[5]])
        await site.ended([running[1], *waiting[1:]])
        gate.open()
        endings = await site.ended(orders)
        ended, cancelled, void = AttemptState.EXITED, AttemptState.CANCELLED, AttemptState.VOID
        assert [seen.state for seen in endings] == [ended, cancelled, ended, ended, void, void]
        assert len(processes(site, [*running, waiting[0]])) == 1
        assert len(begun(site)) == 4

    @case(Ability.BATCHES, Ability.AGENT, Ability.PROCESSES, slots=1)
    async def test_a_lost_batch_is_found_by_its_tokens(self, site: Site) -> None:
        """The agent dies: its process is killed, what ran is LOST, what ended is not, what waits is run."""
        gate = site.gate()
        running = await submit(site, "do", "hold", "do", batch="runs", gate=gate)
        waiting = await submit(site, "do", "do", batch="waits")
        await site.ended(running[:1])
        await site.running(running[1])
        (worker,) = processes(site, running[:1])
        self.kill_agent(site)
        endings = await site.ended([*running, *waiting])
        ended, lost = AttemptState.EXITED, AttemptState.LOST
        assert [seen.state for seen in endings] == [ended, lost, lost, ended, ended]
        assert wait_gone(worker, GONE_S), "the process of a lost batch lives on"
        tokens = [order.token for order in running]
        assert set(await site.session.find(tokens)) == set(tokens), "so that none is run again by mistake"
        again = await submit(site, "do", "do", batch="again")
        assert {seen.cause for seen in await site.ended(again)} == {None}
        assert len(processes(site, [*waiting, *again])) == 1
