"""One running Airflow for all tests of this folder, and a browser that is logged in to it.

The modules run in the order of ``ORDER``: the first ones look at an Airflow in which little has run yet.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.airflow.home import settle

settle()

from playwright.sync_api import (  # noqa: E402
    Browser,
    BrowserContext,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from lit_airflow.sandbox.airflow_server import USERNAME  # noqa: E402
from lit_airflow.sandbox.environment import Sandbox  # noqa: E402
from lit_airflow.sandbox.progress import Progress  # noqa: E402
from lit_airflow.sandbox.report import run_report  # noqa: E402
from lit_airflow.sandbox.stop_signal import StopSignal  # noqa: E402
from tests import machine  # noqa: E402
from tests.installation.collector import Collector  # noqa: E402
from tests.installation.runs import Runs, run_everything  # noqa: E402
from tests.installation.server import Installation, running  # noqa: E402

ORDER = (
    "test_connection_form",
    "test_sessions_page",
    "test_demo",
    "test_telemetry",
    "test_dag_runs",
    "test_leaks",
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 300_000
# Only in Airflow's own pages: the policy of ours forbids a style that is added.
NO_ANIMATIONS = """
    if (window === top) addEventListener("DOMContentLoaded", () => {
        const style = document.createElement("style");
        style.textContent = "*, ::before, ::after { animation: none !important; }";
        document.head.append(style);
    });
"""
_SHOWN = pytest.StashKey[str]()
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = [index for index, item in enumerate(items) if item.path.parent == here]
    ordered = sorted((items[index] for index in places), key=lambda item: ORDER.index(item.path.stem))
    for index, item in zip(places, ordered, strict=True):
        items[index] = item


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, running; the DAGs are paused."""
    with running(tmp_path_factory.mktemp("installation")) as started:
        yield started


@pytest.fixture(scope="package")
def sandbox(installation: Installation) -> Sandbox:
    return installation.parts


@pytest.fixture(scope="package")
def collector(installation: Installation) -> Collector:
    """Where metrics and traces go."""
    return installation.collector


@pytest.fixture(scope="package")
def after_the_demo(installation: Installation, pytestconfig: pytest.Config) -> Installation:
    """The demo DAG has run once, and one node did not answer; ``shown_by_the_demo`` is what people are shown."""
    installation.parts.network.stop_node(0)
    with redirect_stdout(StringIO()) as shown:
        run_report(installation.parts, StopSignal(), Progress())
    installation.parts.network.start_node(0)
    pytestconfig.stash[_SHOWN] = shown.getvalue()
    return installation


@pytest.fixture(scope="package")
def shown_by_the_demo(after_the_demo: Installation, pytestconfig: pytest.Config) -> str:
    assert after_the_demo
    return pytestconfig.stash[_SHOWN]


@pytest.fixture(scope="package")
def runs(after_the_demo: Installation) -> Runs:
    """All DAGs have run."""
    return run_everything(after_the_demo)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        # Without one of the system's, it is the one that the driver installed: see tests/machine.py.
        opened = driver.chromium.launch(executable_path=machine.chromium(), args=FLAGS, timeout=PATIENCE_MS)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def window(browser: Browser, sandbox: Sandbox) -> Iterator[BrowserContext]:
    """US English, UTC, and without Airflow's animations, which keep a core busy."""
    with browser.new_context(
        base_url=sandbox.airflow.url, locale="en-US", timezone_id="UTC", reduced_motion="reduce"
    ) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(NO_ANIMATIONS)
        yield context


@pytest.fixture(scope="package")
def page(window: BrowserContext, sandbox: Sandbox) -> Page:
    """Logged in by Airflow's own form, at the connections. One for all tests: each page loaded costs seconds."""
    page = window.new_page()
    page.goto("/connections")
    page.get_by_label(re.compile("username", re.IGNORECASE)).fill(USERNAME)
    page.locator("input[type=password]").fill(sandbox.airflow.password.reveal().decode())
    page.locator("button[type=submit]").click()
    page.wait_for_url(re.compile(r"^[^?]*:\d+/connections(\?.*)?$"))
    return page


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str, Page | Locator], None]:
    """Take a picture; into docs/images if ``make pictures`` asks, else only to see that it can be taken."""
    folder = Path(os.environ.get("LIT_PICTURES", tmp_path))

    def take(name: str, of: Page | Locator) -> None:
        of.screenshot(path=folder / name, animations="disabled", scale="css")
        assert (folder / name).stat().st_size < 500_000

    return take
