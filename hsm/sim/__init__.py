"""A deterministic simulation of whole sweeps: the real engine and the real agent in a world that fails.

Time is virtual, chance comes from one seed, disks lose what was not synced, processes are killed at any act.
`python -m hsm.sim run --seeds 2000` looks for a seed that breaks an invariant, `replay SEED` shows it again.
"""
