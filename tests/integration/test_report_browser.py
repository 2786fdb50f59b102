"""The completion report in a real browser: nothing runs, asks a network for anything, or sticks out."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from hsm.core.states import Cause, TaskStatus
from hsm.report import ReportView, render, render_comparison, render_errors, render_scores
from tests.unit.report.sweeps import TRACEBACK, attempt, hunt_tasks, leave, task, view

pytestmark = pytest.mark.integration

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)


MEASURE = """
<script>
  const shown = element => getComputedStyle(element).display !== 'none';
  onload = () => {
    const pages = [...document.querySelectorAll('iframe')].map(frame => frame.contentDocument);
    document.title = JSON.stringify(pages.map(page => ({
      over: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      broken: [...page.images].filter(image => !image.complete || !image.naturalWidth).length,
      charts: [...page.querySelectorAll('.chart > svg')].filter(shown).length,
      background: getComputedStyle(page.body).backgroundColor,
    })));
  };
</script>"""
"""What a page that frames reports can say about them: it runs in the frames' owner, not in a report."""


@dataclass
class Canary:
    """A web server on loopback that must never be asked for anything."""

    url: str
    hits: list[str] = field(default_factory=list)


@pytest.fixture
def canary() -> Iterator[Canary]:
    hits: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Canary(url=f"http://127.0.0.1:{server.server_port}", hits=hits)
        server.shutdown()
        thread.join()


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a browser made of a page: the document after loading, and what it complained about."""

    dom: str
    console: list[str]

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*?)</title>", self.dom, re.DOTALL)
        return unescape(found[1]) if found else ""


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Chromium without a window, with an empty profile for each visit."""

    command: str
    profiles: Path

    def visit(self, page: Path, *flags: str) -> Visit:
        done = self._run(*flags, "--dump-dom", page.as_uri())
        return Visit(
            dom=done.stdout, console=[line for line in done.stderr.splitlines() if "CONSOLE" in line]
        )

    def print(self, page: Path, paper: Path) -> None:
        self._run("--no-pdf-header-footer", f"--print-to-pdf={paper}", page.as_uri())

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        profile = self.profiles / f"profile{len(list(self.profiles.iterdir()))}"
        profile.mkdir()
        argv = [self.command, *QUIET, f"--user-data-dir={profile}", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=50, check=True)


@pytest.fixture
def browser(chromium: str, tmp_path: Path) -> Browser:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    return Browser(command=chromium, profiles=profiles)


def attacks(url: str) -> list[str]:
    """Return values that would run a script or load something, if they were taken for markup."""
    mark = "document.title='pwned';document.documentElement.dataset.pwned=1"
    return [
        f"<script>{mark};fetch('{url}/script')</script>",
        f'"><img src=\'{url}/img\' onerror="{mark}">',
        f"</style><link rel=stylesheet href='{url}/css'><style>@import '{url}/import';",
        f"</title><iframe src='{url}/frame'></iframe>",
        f"<svg onload=\"{mark}\"><image href='{url}/svg'/></svg>",
        f"</svg><meta http-equiv=refresh content='0;url={url}/refresh'>",
        f'x\'"style="background:url({url}/style)" onfocus="{mark}" autofocus tabindex=1 ',
        f"--></pre><object data='{url}/object'></object><base href='{url}/'>",
    ]


def hostile(sweep_dir: Path, values: list[str]) -> ReportView:
    tasks = []
    for index, value in enumerate(values, start=1):
        bad = attempt(index, exit_code=1, cause=Cause.APPLICATION, reason=value, source=value)
        params = {"b": value, value: [value]}
        tasks.append(
            task(2 * index - 1, params, status=TaskStatus.FAILED, attempts=(bad,), label=value, reason=value)
        )
        tasks.append(
            task(2 * index, {"b": 0.1 * index, "s": value}, {"pcs": 0.1 * index, value: 1.0}, label=value)
        )
        leave(sweep_dir, tasks[-2], stderr=f"{value}\n\x1b[31m{value}\n".encode())
    metadata = {"command": values, "git": {"branch": "".join(values)}, values[0]: values[1]}
    return view(sweep_dir, tasks=tasks, metadata=metadata, sweep_id=values[3], hosts=tuple(values)).gather()


def density(seed: int, edge: int = 48) -> bytes:
    """Return a picture that looks like a density with a few vortices."""
    rng = Random(seed)
    cores = [(rng.random() * edge, rng.random() * edge) for _ in range(rng.randint(1, 9))]
    picture = Image.new("RGB", (edge, edge))
    for y in range(edge):
        for x in range(edge):
            near = min((x - a) ** 2 + (y - b) ** 2 for a, b in cores)
            rho = 1 - math.exp(-near / 12)
            picture.putpixel((x, y), (int(250 * rho), int(190 * rho), 60 + int(90 * (1 - rho))))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def realistic(sweep_dir: Path) -> ReportView:
    tasks = hunt_tasks()
    for entry in tasks:
        if entry.status is TaskStatus.FAILED:
            leave(sweep_dir, entry, stderr=(TRACEBACK % (37 * entry.index)).encode())
        else:
            leave(sweep_dir, entry, pictures={"final_rho.png": density(entry.index)})
    return view(sweep_dir, tasks=tasks).gather()


def claiming(sweep_dir: Path, value: str) -> ReportView:
    """Return a sweep whose programs say `value` wherever claims have words."""
    tasks = [task(at, {"b": value}, {"pcs": 0.5, f"{value}_p_value": 0.01 * at}) for at in (1, 2, 3)]
    null = {"about": value, "score": 5.0, "low_is_good": False, "p": 0.1, "draws": 9, "without_score": 0}
    null |= {"reached": 0, "low": 1.0, "high": 4.0, "log": True, "counts": [2, 6, 1]}
    score = {"value": 5.0, "unit": value, "can": value, "cannot": value, "nulls": [null]}
    scores = {value: {**score, "p_value": f"{value}_p_value"}, f"{value}.": {**score, "p_value": None}}
    for each in tasks:
        folder = leave(sweep_dir, each, pictures={"phase.png": density(each.index)})
        (folder / "results" / "claims.json").write_text(json.dumps({"schema": 1, "scores": scores}))
    return view(sweep_dir, tasks=tasks, sweep_id=value).gather()


def write(folder: Path, html: str, name: str = "page.html") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(html, "utf-8")
    return path


def test_the_trap_works(browser: Browser, canary: Canary, tmp_path: Path) -> None:
    """A page that takes the attacks for markup runs their script and asks the server: the check can fail."""
    visit = browser.visit(write(tmp_path / "open", f"<title>calm</title>{attacks(canary.url)[0]}"))
    assert visit.title == "pwned"
    assert canary.hits == ["/script"]


def test_hostile_values_run_nothing_and_ask_nothing(browser: Browser, canary: Canary, tmp_path: Path) -> None:
    """Values, logs, hosts and metadata full of attacks stay text: no script, no request, no complaint."""
    values = attacks(canary.url)
    made = hostile(tmp_path / "sweep", values)
    comparison = render_comparison([made, replace(made, sweep_id=values[4])])
    pages = {
        "ncgl-hunt · finished": render(made),
        "ncgl-hunt · err": render_errors(made),
        "Compar": comparison,
        "ncgl-hunt · scores": render_scores(claiming(tmp_path / "claiming", values[0])),
    }
    for title, html in pages.items():
        visit = browser.visit(write(tmp_path / "sweep" / "reports", html))
        assert visit.title.startswith(title)
        assert "data-pwned" not in visit.dom
        assert not re.search(r"<(iframe|object|link|base|image)\b", visit.dom)
        assert len(re.findall(r"<script\b", visit.dom)) == 1
        assert canary.hits == []
        assert visit.console == []
        assert values[0] in unescape(visit.dom)


def test_the_policy_stops_what_gets_into_the_page_as_markup(
    browser: Browser, canary: Canary, tmp_path: Path
) -> None:
    """Were a value ever written unescaped, its script and style would not count, and the console says so."""
    html = render(view(tmp_path)).replace("<footer>", f"<footer>{attacks(canary.url)[0]}<style>*{{}}</style>")
    visit = browser.visit(write(tmp_path / "reports", html))
    assert visit.title != "pwned"
    assert canary.hits == []
    assert len(visit.console) == 2


@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0",)], ids=["light", "dark"])
def test_no_width_makes_the_page_scroll_sideways(
    browser: Browser, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """On a phone, a tablet and a desk, only tables scroll; pictures are decoded; one chart is shown."""
    folder = tmp_path / "sweep" / "reports"
    made = realistic(tmp_path / "sweep")
    write(folder, render(made), "report.html")
    write(folder, render_errors(made), "errors.html")
    write(folder, render_comparison([made, made]), "comparison.html")
    write(
        folder,
        render(hostile(tmp_path / "other", ["x" * 5_000, *attacks("http://127.0.0.1:1")])),
        "long.html",
    )
    write(folder, render_scores(claiming(tmp_path / "claiming", "x" * 5_000)), "scores.html")
    widths = (400, 900, 1400)
    frames = "".join(
        f"<iframe src={name} style='width:{width}px;height:900px'></iframe>"
        for name in ("report.html", "long.html", "errors.html", "comparison.html", "scores.html")
        for width in widths
    )
    visit = browser.visit(
        write(folder, f"<title></title>{frames}{MEASURE}"), "--allow-file-access-from-files", *flags
    )
    seen = json.loads(visit.title)
    assert [(frame["over"], frame["broken"]) for frame in seen] == [(0, 0)] * 15
    assert [frame["charts"] for frame in seen] == [1] * 6 + [0] * 9
    dark = int(re.findall(r"\d+", seen[0]["background"])[0]) < 128
    assert dark is bool(flags)
    assert visit.console == []


USE = """
<script>
  const column = (table, place) =>
    [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[place].textContent);
  const look = frame => {
    const page = frame.contentDocument;
    const table = page.querySelector('#tasks table');
    const heads = [...table.tHead.rows[0].cells];
    const place = heads.findIndex(head => head.textContent === 'pcs');
    const found = {buttons: page.querySelectorAll('button').length, before: column(table, 0)};
    if (found.buttons) {
      const button = heads[place].querySelector('button');
      button.click();
      found.up = column(table, place);
      button.click();
      found.down = column(table, place);
      found.sorted = heads[place].getAttribute('aria-sort');
      const field = page.querySelector('#tasks input');
      field.value = 'failed generation_none';
      field.dispatchEvent(new Event('input'));
      found.none = column(table, 0).length;
      field.value = 'FAILED';
      field.dispatchEvent(new Event('input'));
      found.failed = column(table, 0);
      found.told = page.querySelector('#tasks output').textContent;
      const mark = page.querySelector('#convergence .wide path[aria-label]');
      mark.dispatchEvent(new PointerEvent('pointerover', {bubbles: true, clientX: 50, clientY: 300}));
      found.tip = page.querySelector('.tip').textContent;
    }
    found.titles = page.querySelectorAll('#convergence .wide path > title').length;
    return found;
  };
  onload = () => {
    document.title = JSON.stringify([...document.querySelectorAll('iframe')].map(look));
  };
</script>"""
"""What a reader does with the tables, done by the page that frames the report."""


def test_tables_sort_and_filter_and_nothing_is_lost_without_script(browser: Browser, tmp_path: Path) -> None:
    """A click sorts by value, up and down, empty cells last; words filter; without script all is there."""
    folder = tmp_path / "sweep" / "reports"
    write(folder, render(realistic(tmp_path / "sweep")), "report.html")
    frames = "<iframe src=report.html></iframe><iframe src=report.html sandbox=allow-same-origin></iframe>"
    visit = browser.visit(write(folder, f"<title></title>{frames}{USE}"), "--allow-file-access-from-files")
    live, still = json.loads(visit.title)
    numbers = [float(cell) for cell in live["up"] if cell not in ("", "null")]
    assert len(numbers) == 32
    assert numbers == sorted(numbers)
    assert [float(cell) for cell in live["down"] if cell not in ("", "null")] == numbers[::-1]
    assert live["up"][-3:] == live["down"][-3:] == ["", "", ""], "the failed tasks have no metric"
    assert live["sorted"] == "descending"
    assert sorted(live["failed"]) == ["task_0008", "task_0020", "task_0032"]
    assert (live["none"], live["told"]) == (0, "3 of 36 rows")
    assert re.match(r"task_\d{4}: ", live["tip"])
    assert still["buttons"] == 0
    assert still["before"] == live["before"]
    assert still["titles"] == 36, "without script, the browser shows the titles itself"


def test_the_report_prints(browser: Browser, tmp_path: Path) -> None:
    """On paper, everything is there on several pages: no scroll frame cuts a table."""
    folder = tmp_path / "sweep" / "reports"
    path = write(folder, render(realistic(tmp_path / "sweep")))
    paper = tmp_path / "report.pdf"
    browser.print(path, paper)
    assert len(re.findall(rb"/Type /Page\b", paper.read_bytes())) >= 4
