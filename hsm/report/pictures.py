"""Pictures inside the page: data URIs, captions, and the gallery."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report.columns import is_number
from hsm.report.evidence import Picture
from hsm.report.html import Markup, note, section, short, tag
from hsm.report.links import task_link
from hsm.report.text import count, number, plain, shorten, size
from hsm.report.view import ReportView, params_of

CAPTION_PARAMS = 5
CAPTION_VALUE = 18


def image(picture: Picture) -> Markup:
    """Return a picture that is part of the page; its place is kept while it is decoded."""
    data = base64.b64encode(picture.data).decode("ascii")
    return tag(
        "img",
        src=f"data:image/{picture.kind};base64,{data}",
        width=picture.width,
        height=picture.height,
        alt=picture.path,
    )


def gallery(view: ReportView) -> Markup:
    """Return the pictures of all tasks, the best first where there is an objective."""
    heading = "Final densities" if _all_densities(view) else "Pictures"
    if not view.pictures:
        words = f"None of the first {view.pictures_sought:,} tasks has written a PNG file under results/."
        return section("gallery", heading, note(words))
    names = view.varying[:CAPTION_PARAMS]
    shown = [task for task in view.ranking() if task.task_id in view.pictures]
    figures = [_figure(view, task, names) for task in shown]
    order = "best first" if view.best() else "in task order"
    return section("gallery", heading, _amount(view, order), tag("div", *figures, class_="gallery"))


def has_gallery(view: ReportView) -> bool:
    """Tell whether there is anything to say: pictures, or that not all tasks were asked for them."""
    return bool(view.pictures) or _is_cut_short(view)


def _is_cut_short(view: ReportView) -> bool:
    """Tell whether pictures were not looked for in every task that may have some."""
    return view.pictures_sought < sum(task.status is TaskStatus.SEALED for task in view.tasks)


def _all_densities(view: ReportView) -> bool:
    paths = [picture.path.rpartition("/")[2] for found in view.pictures.values() for picture in found]
    return bool(paths) and all("rho" in path or "density" in path for path in paths)


def _amount(view: ReportView, order: str) -> Markup:
    pictures = [picture for found in view.pictures.values() for picture in found]
    total = sum(len(picture.data) for picture in pictures)
    left = view.pictures_left_out
    rest = (
        f" {count(left, 'more picture')} did not fit into this page, or cannot be shown:"
        " see results/ in the tasks' directories."
    )
    sought = f" Looked for in the first {view.pictures_sought:,} tasks." if _is_cut_short(view) else None
    return note(f"{count(len(pictures), 'picture')}, {order}, {size(total)}.", rest if left else None, sought)


def _figure(view: ReportView, task: Task, names: Sequence[str]) -> Markup:
    """Return the pictures of one task; several take a row of their own."""
    images = [image(picture) for picture in view.pictures[task.task_id]]
    if len(images) == 1:
        return tag("figure", images[0], _caption(view, task, names))
    return tag("figure", tag("div", *images, class_="strip"), _caption(view, task, names), class_="several")


def described(view: ReportView, task: Task) -> Markup:
    """Return the caption of a task's pictures: its score and its parameters."""
    return _caption(view, task, view.varying[:CAPTION_PARAMS])


def _caption(view: ReportView, task: Task, names: Sequence[str]) -> Markup:
    score = view.score(task)
    metric = shorten(view.spec.hunt.objective.metric, CAPTION_VALUE) if view.spec.hunt else ""
    params = params_of(task)
    lines = [
        tag(
            "span",
            task_link(task),
            tag("b", f"{metric} {number(score, digits=4)}") if score is not None else None,
        )
    ]
    for name in names:
        if name in params:
            value = params[name]
            written = number(value, digits=4) if is_number(value) else plain(value)
            lines.append(tag("span", short(name, CAPTION_VALUE), short(written, CAPTION_VALUE)))
    return tag("figcaption", *lines)
