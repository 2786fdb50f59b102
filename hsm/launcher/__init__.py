"""The Hydra launcher `hydra/launcher=hsm`: the jobs of a multirun become the tasks of a durable sweep.

    Hydra's sweeper ─overrides→ multirun ─batch→ SweepSpec ─engine→ attempts
      each attempt: `python -m hsm.launcher` starts the user's application again and lets it do one job
    attempts ─outcome.json→ returns ─JobReturn→ Hydra's sweeper

No object travels: a job is known by its overrides, and what it returned by JSON.
"""
