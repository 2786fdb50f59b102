"""What a compute source must be able to do, as tests that anybody can run, and sources to test engines with.

    contract.SourceContract   the cases that every source passes; subclass it and run pytest
    memory.MemorySource       attempts that are pretended: no process, no file unless asked for
    file_agent.FileAgentSource  the real agent, reached through nothing but files

Only `contract` and the modules of its cases need pytest; they are not imported here.
"""

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.file_agent import FileAgentSource
from hsm.compute.testing.memory import Act, MemoryMachine, MemorySource

__all__ = ["Ability", "Act", "FileAgentSource", "MemoryMachine", "MemorySource"]
