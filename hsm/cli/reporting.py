"""Writing the reports of a sweep, finished or not."""

from __future__ import annotations

from pathlib import Path

from hsm.api.origin import metadata_of
from hsm.cli.workspace import Look


def write_report(look: Look) -> Path:
    """Write the completion report and return where it is. The look must know every detail.

    Raises:
        OSError: it cannot be written.
    """
    from hsm.report import FILE_NAME, ReportView, render

    tracker = look.tracker
    view = ReportView(
        spec=look.spec,
        sweep_id=look.tree.sweep_id,
        status=look.status,
        tasks=tuple(tracker.tasks),
        sweep_dir=look.tree.root,
        started_at=tracker.first_at,
        ended_at=tracker.last_at,
        epochs=max(1, tracker.epoch),
        hosts=(tracker.engine.host,) if tracker.engine else (),
        metadata=metadata_of(look.tree),
    )
    text = render(view.gather())
    path = look.tree.reports / FILE_NAME
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return path
