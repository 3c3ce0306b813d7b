"""A real browser for tests: Debian's Chromium, headless, that notes all a page complains of or asks a network for.

The fixture ``visit`` opens a page, as ``page = visit(path or address, scheme="dark")``. When the test ends,
nothing may have been logged as an error or a warning, raised, asked in an alert, or requested beside the page
itself: a file has to be self-contained, and a served page may ask its own server only. Where playwright or Chromium
is absent, the test skips and says what to install. BIOCLASS_TEST_SCREENSHOTS names a folder in which ``snap``
leaves pictures.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

# A page answers in a moment, but not on a machine that has much else to do.
PATIENCE = 30_000  # ms
# What a page is asked about itself; each function there has its own below.
ASKS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
# Chromium is not to ask the network for anything of its own.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


# One browser a test file, not a session: while it is open, this thread counts as running an asyncio loop, in which
# the tests of other files could not run one of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, started once for a file of tests."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium on the PATH (Debian: apt-get install chromium)")
    with api.sync_playwright() as driver:
        # Root cannot use Chromium's sandbox, and a container often runs as root.
        browser = driver.chromium.launch(executable_path=program, args=QUIET, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


class Visit:
    """Opens pages, each in a context of its own, and keeps what was wrong with them in ``complaints``."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.complaints: list[str] = []

    def __call__(
        self,
        where: Path | str,
        *,
        scheme: str = "light",
        size: tuple[int, int] = (1280, 900),
        phone: bool = False,
        javascript: bool = True,
    ) -> Page:
        """Open a file or an address, and return its page.

        ``scheme`` is the colour scheme that the reader prefers, ``size`` the window in pixels; ``phone`` makes it
        390 x 844 with a touch screen.
        """
        address = where.resolve().as_uri() if isinstance(where, Path) else where
        more: dict[str, Any] = {"is_mobile": True, "has_touch": True, "device_scale_factor": 2} if phone else {}
        width, height = (390, 844) if phone else size
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            offline=isinstance(where, Path),
            java_script_enabled=javascript,
            **more,
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"raised: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"alert: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._asked(request.url, address))
        page.on("websocket", lambda socket: self._asked(socket.url, address))
        page.goto(address)
        return page

    def expect(self, pattern: str) -> None:
        """Strike out the complaints that match; there must be at least one."""
        found = [said for said in self.complaints if re.search(pattern, said)]
        assert found, f"no complaint matches {pattern!r}: {self.complaints}"
        self.complaints = [said for said in self.complaints if said not in found]

    def close(self) -> None:
        """Close all pages; fail if one of them complained."""
        for context in self.browser.contexts:
            context.close()
        assert self.complaints == []

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, url: str, address: str) -> None:
        wanted, page = urlsplit(url), urlsplit(address)
        same = wanted.path == page.path if page.scheme == "file" else wanted.netloc == page.netloc
        if wanted.scheme not in ("data", "blob") and not (wanted.scheme == page.scheme and same):
            self.complaints.append(f"asked for {url}")


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Open pages of one test; when it ends, none of them may have complained."""
    visitor = Visit(chromium)
    yield visitor
    visitor.close()


def snap(page: Page, name: str, *, whole: bool = True) -> None:
    """Leave NAME.png of the page, or of its window only, in the folder that BIOCLASS_TEST_SCREENSHOTS names."""
    if folder := os.environ.get("BIOCLASS_TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=whole)


def effort(page: Page) -> float:
    """Load a page again, and return the seconds of computing that all of it took so far.

    What a clock on the wall says of that depends on what else the machine does.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    told = session.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in told if each["name"] == "ProcessTime")


def small(page: Page, least: float = 8) -> list[str]:
    """Return the texts of drawings that are shown smaller than ``least`` CSS pixels."""
    found: list[str] = page.evaluate(f"{ASKS}small({least})")
    return found


def overflow(page: Page) -> list[str]:
    """Return what makes a page wider than its window: its tags and classes, outermost first; [] if it fits."""
    found: list[str] = page.evaluate(f"{ASKS}overflow()")
    return found


def faint(page: Page, least: float = 4.5) -> list[str]:
    """Return the visible texts whose contrast to what is behind them is below ``least``, each with its contrast.

    The contrast is that of WCAG 2.2 (1.4.3): (L1 + 0.05) / (L2 + 0.05) of the relative luminances. Behind a text in
    HTML are the backgrounds of the elements around it; behind one in a drawing also the shapes drawn before it.
    """
    found: list[str] = page.evaluate(f"{ASKS}faint({least})")
    return found


def barriers(page: Page) -> list[str]:
    """Return what keeps a reader with a screen reader or a keyboard out of a page, one sentence each.

    Pictures, drawings and controls without a name; headings that skip a level; no language, title or landmark;
    tables without headers; an id that occurs twice; a label for what is not there.
    """
    found: list[str] = page.evaluate(f"{ASKS}barriers()")
    return found


def twins(page: Page) -> list[str]:
    """Return the names that two visible landmarks of a page have in common, or two of its controls."""
    found: list[str] = page.evaluate(f"{ASKS}twins()")
    return found
