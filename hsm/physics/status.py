"""The statuses of a run."""

import enum


class Status(enum.Enum):
    """The outcome of a run; all but `timeout` and `cancelled` are answers, and then the exit code is 0."""

    OK = "ok"
    UNDERRESOLVED_SPACE = "underresolved_space"
    UNDERRESOLVED_TIME = "underresolved_time"
    DEAD = "dead"
    BLOWN_UP = "blown_up"
    METRIC_FAILED = "metric_failed"
    CONSTRAINT_VIOLATED = "constraint_violated"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
