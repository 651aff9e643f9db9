"""The page "Lit sessions" as people meet it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Frame, Locator, Page, expect

from lit_airflow.sandbox.airflow_server import USERNAME
from lit_airflow.sandbox.environment import Sandbox
from lit_airflow.sandbox.examples import DAG_ID
from tests.installation.server import Installation

UI = Path(__file__).parents[2] / "docs" / "ui.md"
ROUTE = "/plugin/lit-sessions"
_LIGHT = r"(12[89]|1[3-9]\d|2\d\d)"
BRIGHT = re.compile(rf"^rgb\({_LIGHT}, {_LIGHT}, {_LIGHT}\)$")


def framed(page: Page) -> Frame:
    """The page itself, inside Airflow's."""
    element = page.locator("iframe").element_handle()
    frame = element.content_frame()
    assert frame is not None
    expect(frame.get_by_role("heading", name="Lit sessions")).to_be_visible()
    return frame


def test_it_stands_under_browse_and_says_what_to_do_while_there_is_nothing(
    page: Page,
) -> None:
    page.set_viewport_size({"width": 1200, "height": 900})
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Lit sessions").click()
    page.wait_for_url("**" + ROUTE + "**")
    frame = framed(page)
    expect(frame.get_by_role("heading", name="No session yet")).to_be_visible()
    expect(frame.get_by_text("LitSessionSigsOperator")).to_be_visible()


def opened(page: Page) -> Frame:
    """The page, loaded unless it is open already."""
    if not page.url.endswith(ROUTE):
        page.goto(ROUTE)
    return framed(page)


def test_it_shows_sessions_and_nodes_in_airflows_colours(
    page: Page, after_the_demo: Installation, picture: Callable[[str, Page | Locator], None]
) -> None:
    said: list[str] = []
    page.emulate_media(color_scheme="light")
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    old = opened(page)
    with page.expect_event("framenavigated"):
        old.evaluate("location.reload()")
    frame = framed(page)
    [session] = frame.get_by_role("table").nth(0).get_by_role("row").all()[1:]
    expect(session.get_by_role("rowheader")).to_contain_text(f"{DAG_ID} › session")  # noqa: RUF001 - as shown
    expect(session).to_contain_text(re.compile(r"\d+ min"))
    expect(session).to_contain_text(re.compile(r"decrypt /\S+"))
    expect(session.get_by_title(after_the_demo.parts.wallet)).to_be_visible()
    expect(frame.get_by_role("heading", name="1 made in the last day")).to_be_visible()
    expect(frame.get_by_role("img", name=re.compile("Sessions made per hour"))).to_be_visible()

    nodes = frame.get_by_role("table").nth(1)
    silent = nodes.get_by_role("row").nth(1)
    urls = after_the_demo.parts.network.description["nodes"]
    assert isinstance(urls, list)
    expect(silent).to_contain_text(urls[0])
    # On a busy machine the others may have answered before it is known that this one refuses.
    expect(silent).to_contain_text(re.compile("connection refused|no handshake"))
    expect(silent).to_contain_text(re.compile(r"\d+ (s|min) ago"))
    expect(silent).to_have_class("wrong")
    assert nodes.get_by_role("row").count() == 1 + len(urls)

    page.set_viewport_size({"width": 1200, "height": 690})
    picture("sessions-light.png", page)
    # Not wait_for_function(), which calls eval(): the page forbids that, and says so.
    body = frame.locator("body")
    expect(body).to_have_css("background-color", BRIGHT)
    page.emulate_media(color_scheme="dark")
    expect(body).not_to_have_css("background-color", BRIGHT)
    picture("sessions-dark.png", page)
    assert said == []  # nothing is blocked, and nothing fails


@pytest.mark.usefixtures("after_the_demo")
def test_it_follows_the_theme_that_is_chosen_in_airflow(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    expect(opened(page).locator("html")).to_have_css("color-scheme", "light")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    expect(framed(page).locator("html")).to_have_css("color-scheme", "dark")
    page.evaluate("localStorage.removeItem('theme')")


def test_a_session_leads_to_its_task_and_the_task_back(page: Page, after_the_demo: Installation) -> None:
    opened(page).get_by_role("link", name=DAG_ID).click()
    page.wait_for_url(f"{after_the_demo.parts.airflow.url}/dags/{DAG_ID}/runs/*/tasks/session")
    page.get_by_role("link", name="Details").click()
    back = page.get_by_role("link", name="Lit sessions")
    expect(back).to_have_attribute("href", after_the_demo.parts.airflow.url + ROUTE)


@pytest.mark.usefixtures("after_the_demo")
def test_a_program_sees_it_as_the_documentation_says(sandbox: Sandbox, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", UI.read_text(), re.MULTILINE | re.DOTALL)
    address = "http://localhost:8080"
    assert address in program
    login = {"username": USERNAME, "password": sandbox.airflow.password.reveal().decode()}
    (tmp_path / "login.json").write_text(json.dumps(login))
    html = subprocess.run(
        [sys.executable, "-c", program.replace(address, sandbox.airflow.url)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"{DAG_ID} ›" in html  # noqa: RUF001 - as shown


def test_nobody_sees_it_without_logging_in(sandbox: Sandbox) -> None:
    for path in ("/lit/", "/lit/page.css", "/lit/page.js"):
        assert requests.get(sandbox.airflow.url + path, timeout=300).status_code == 401
