"""A whole Airflow, and a real browser that is logged in to it."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from lit_airflow.clock import Deadline
from lit_airflow.sandbox.airflow_server import USERNAME
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.examples import DAG_ID
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.browser.collector import Collector, collecting

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000
RUN_S = 240.0
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def chromium() -> str:
    program = shutil.which("chromium")
    if program is None:
        missing = "There is no chromium: `make browser` installs it, or says how."
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return program


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Where this Airflow sends its metrics and traces."""
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="package")
def sandbox(chromium: str, collector: Collector) -> Iterator[Sandbox]:
    """Everything, running, for all tests of this folder; not started where no browser could look at it."""
    options = SandboxOptions(
        examples="lit_decrypt_report.py",
        triggerer=False,
        airflow={"metrics": {"otel_on": True, **collector.settings}, "traces": {"otel_on": True}},
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in collector.environment.items():
            patch.setenv(name, value)
        with open_sandbox(StopSignal(), Progress(), options) as parts:
            yield parts


@pytest.fixture(scope="package")
def sandbox_after_a_run(sandbox: Sandbox) -> Sandbox:
    """The example has run once, and one node did not answer."""
    api, deadline = sandbox.api, Deadline.after(RUN_S)
    sandbox.network.stop_node(0)
    api.wait_for_dag(DAG_ID)
    api.unpause(DAG_ID)
    run_id = api.wait_for_run(DAG_ID)
    while (state := api.run_state(DAG_ID, run_id)) not in {"success", "failed"}:
        assert deadline.left_s()
        StopSignal().wait(0.5)
    assert state == "success"
    sandbox.network.start_node(0)
    return sandbox


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser, sandbox: Sandbox) -> Callable[..., Page]:
    """A page of this Airflow, by its path, in a window of its own, logged in by Airflow's own form."""

    def opened(path: str, *, scheme: str = "light", height: int = 900) -> Page:
        context = browser.new_context(
            base_url=sandbox.airflow.url,
            color_scheme="dark" if scheme == "dark" else "light",
            locale="en-US",
            timezone_id="UTC",
            viewport={"width": 1200, "height": height},
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto("/")
        page.get_by_label(re.compile("username", re.IGNORECASE)).fill(USERNAME)
        page.locator("input[type=password]").fill(sandbox.airflow.password.reveal().decode())
        page.locator("button[type=submit]").click()
        page.wait_for_url(re.compile(r"^[^?]*:\d+/(\?.*)?$"))
        page.goto(path)
        return page

    return opened


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str, Page | Locator], None]:
    """Take a picture; into docs/images if ``make pictures`` asks, else only to see that it can be taken."""
    folder = Path(os.environ.get("LIT_PICTURES", tmp_path))

    def take(name: str, of: Page | Locator) -> None:
        of.screenshot(path=folder / name, animations="disabled", scale="css")
        assert (folder / name).stat().st_size < 300_000

    return take
