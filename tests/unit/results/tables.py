"""Small results to ask things of."""

from hsm.core.spec import Direction, Objective
from hsm.results import Results

MAXIMIZE = Objective(metric="pcs", direction=Direction.MAXIMIZE)


def small(objective: Objective | None = None) -> Results:
    """Return four tasks: two with a score, one that could not be scored, one that failed."""
    return Results(
        {
            "meta.task": ["task_0001", "task_0002", "task_0003", "task_0004"],
            "meta.status": ["sealed", "sealed", "sealed", "failed"],
            "param.k": [3, 1, 2, 4],
            "param.name": ["b", "a", "<i>c</i>", "d"],
            "metric.pcs": [0.5, 0.9, None, None],
            "meta.reason": [None, None, "pcs is null", "exit code 1"],
        },
        objective=objective,
    )
