"""Many runs in one process: members of one shape, one compilation, every core.

Members go one after the other on each device (`lax.map` inside `shard_map`), not side by side (`vmap`): on a
processor a member's field then stays in its cache, and every member ends with the values that it has alone.
Devices are the processor's cores, if the process asked for them before its first use of JAX (`host_devices`).

Reference: measured against both arrangements in `benchmarks/physics_population.py`.
"""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from hsm.physics.exponential import State, Stepper, Toll
from hsm.physics.simulate import advance

Tree = TypeVar("Tree")
Advanced = tuple[State, Array, Toll]


def host_devices(count: int) -> None:
    """Make the processor `count` devices; must be called before the first use of JAX."""
    jax.config.update("jax_num_cpu_devices", count)


def stacked(members: Sequence[Tree]) -> Tree:
    """Return members of one structure and shape as one, with a leading axis.

    The number of members must be a multiple of the number of devices.
    """
    whole: Tree = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *members)
    return whole


@jax.jit
def advance_all(steppers: Stepper, states: State, step: Array, count: Array) -> Advanced:
    """Advance every member as `simulate.advance` does; all arguments but the last two have a leading axis."""
    mesh = Mesh(np.array(jax.devices()), ("member",))
    spread, same = PartitionSpec("member"), PartitionSpec()

    @partial(
        jax.shard_map, mesh=mesh, in_specs=(spread, spread, same, same), out_specs=spread, check_vma=False
    )
    def shard(steppers: Stepper, states: State, step: Array, count: Array) -> Advanced:
        def member(pair: tuple[Stepper, State]) -> Advanced:
            end: Advanced = advance(*pair, step, count)
            return end

        ends: Advanced = jax.lax.map(member, (steppers, states))
        return ends

    ends: Advanced = shard(steppers, states, jnp.asarray(step), jnp.asarray(count))
    return ends
