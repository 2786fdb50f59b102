"""The contract of compute sources over the in-memory fake."""

from pathlib import Path

from hsm.compute.testing.cases.troubles import TroubleCases
from hsm.compute.testing.contract import SourceContract, cases, not_shown
from hsm.compute.testing.memory import MemoryMachine, MemorySource
from hsm.compute.testing.plays import imitate
from hsm.compute.testing.site import Site
from hsm.core.source import AttemptOrder, ComputeSource
from hsm.core.world import World


class TestMemorySource(SourceContract, TroubleCases):
    """One machine for each case; it outlives the managers."""

    abilities = MemorySource.abilities
    machine: MemoryMachine | None = None

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        self.machine = self.machine or MemoryMachine(world, slots=slots, behave=imitate)
        return MemorySource(self.machine)

    def kill_agent(self, site: Site) -> None:
        assert self.machine is not None
        self.machine.lose_agent()

    def lose_reply(self, *, arrives: bool) -> None:
        assert self.machine is not None
        self.machine.trouble.lost_replies.append(arrives)

    def deny(self, *, times: int) -> None:
        assert self.machine is not None
        self.machine.trouble.denials = times

    def miss(self, order: AttemptOrder) -> None:
        assert self.machine is not None
        self.machine.miss(order.token)

    def proceed(self) -> None:
        assert self.machine is not None
        self.machine.proceed()


def test_what_the_fake_cannot_show_is_listed() -> None:
    """The cases that are skipped for the fake are these, and none may join them unnoticed."""
    assert not_shown(TestMemorySource) == set(
        """
        test_usage_is_measured
        test_a_program_over_its_time_is_killed
        test_a_program_may_end_within_its_grace
        test_a_program_may_stop_for_time_itself
        test_a_program_over_its_memory_is_killed
        test_nothing_of_a_program_runs_on
        test_daemons_of_lost_attempts_are_killed
        test_awkward_values_arrive_intact
        test_a_program_knows_its_task
        test_a_program_has_no_input
        test_signals_are_at_their_defaults
        test_output_is_captured_whole
        test_a_huge_output_holds_nobody_up
        test_the_report_says_what_ran
        test_failed_attempts_are_reported_too
        test_attempts_come_home_together
        test_awkward_names_are_kept
        test_names_that_are_no_text_are_said_to_be_left_out
        test_a_removed_directory_is_a_failure
        test_half_an_hdf5_file_is_a_failure
        test_the_programs_own_report_is_embedded
        test_reserved_names_cannot_be_misused
        test_members_of_a_batch_have_an_end_and_a_report_each
        test_a_later_manager_adopts_a_batch_and_cancels_one_of_it_alone
        test_a_lost_batch_is_found_by_its_tokens
        """.split()
    )


def test_every_case_is_known() -> None:
    """Every test of the contract says what it needs, so that none runs where it cannot show anything."""
    tests = {name for name in dir(SourceContract) if name.startswith("test_")}
    assert set(cases(SourceContract)) == tests
