"""The connection form as people meet it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from lit_airflow import get_provider_info
from lit_airflow.sandbox.environment import Sandbox
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.versions import AIRFLOW

FIELDS = get_provider_info()["connection-types"][0]["conn-fields"]


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[name=element_{name}]")


def group(page: Page, name: str) -> Locator:
    """A field with its label and its help text."""
    return page.locator("[data-scope=field][data-part=root]").filter(has=field(page, name))


@pytest.fixture
def form(page: Page) -> Page:
    """The form, empty, with its fields shown."""
    page.set_viewport_size({"width": 1200, "height": 3600})
    page.get_by_role("button", name="Add Connection").click()
    kind = page.get_by_role("combobox", name=re.compile("Connection Type"))
    kind.fill("Lit")
    page.get_by_role("option", name="Lit", exact=True).click()
    expect(page.get_by_label("Description")).to_be_visible()
    if (port := page.locator("input[name=port]")).count():  # as docs/ui.md says
        port.fill("0")
    page.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(field(page, "network")).to_be_visible()
    return page


def add(page: Page, conn_id: str, **values: str) -> None:
    page.get_by_label("Connection ID").fill(conn_id)
    for name, value in values.items():
        field(page, name).fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


TOAST = "[data-scope=toast][data-part=root]"
# A toast goes by itself after some seconds; on a busy machine, before anybody looks.
REMEMBER_TOASTS = f"""() => {{
    window.toasts = [];
    const remember = () => document.querySelectorAll("{TOAST}").forEach(each => toasts.push(each.innerText));
    new MutationObserver(remember).observe(document.body, {{childList: true, subtree: true, characterData: true}});
}}"""


def press_test(page: Page, conn_id: str, outcome: str) -> str:
    """Press the button in the connection's row; what Airflow then shows, once it shows this outcome."""
    page.evaluate(REMEMBER_TOASTS)
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=conn_id, exact=True))
    row.get_by_role("button", name="Test Connection").click()
    find = "outcome => toasts.findLast(text => text.includes(outcome))"
    return str(page.wait_for_function(find, arg=outcome).json_value())


def test_every_field_is_there_with_its_help_and_default(
    form: Page, picture: Callable[[str, Page | Locator], None]
) -> None:
    assert form.locator("[name^=element_]").count() == len(FIELDS)
    for name, described in FIELDS.items():
        schema = described["schema"]
        expect(group(form, name).locator("[data-part=label]")).to_have_text(described["label"])
        expect(group(form, name).locator("[data-part=helper-text]")).to_have_text(described["description"])
        if "boolean" in schema["type"]:
            expect(field(form, name)).to_be_checked(checked=schema["default"])
        else:
            expect(field(form, name)).to_have_value(str(schema.get("default", "")))
    kinds = {name: field(form, name).get_attribute("type") for name in FIELDS}
    hidden = (
        ["rpc_url", "wallet_secret", "signer_url", "seal_secret"] if AIRFLOW > (3, 2) else []
    )  # as docs/ui.md says
    assert [name for name, kind in kinds.items() if kind == "password"] == hidden

    form.get_by_label("Connection ID").fill("lit_renewer")
    picture("connection-form.png", form.get_by_role("dialog"))
    form.get_by_role("button", name="Close").click()
    expect(form.get_by_role("dialog")).to_be_hidden()


def test_a_good_connection_answers_with_the_wallets_address(
    form: Page, sandbox: Sandbox, picture: Callable[[str, Page | Locator], None]
) -> None:
    network = sandbox.network.description
    add(
        form,
        "lit_mine",
        network="custom",
        rpc_url=str(network["rpc_url"]),
        staking_address=str(network["staking_address"]),
        vault_conn_id="vault_renewer",
        vault_path=KV_PATH,
    )
    answer = press_test(form, "lit_mine", "Test Connection Successful")
    assert f"Wallet {sandbox.wallet}. Network custom: 3 of 3 " in answer
    if (toast := form.locator(TOAST).filter(has_text="Test Connection").first).is_visible():
        picture("connection-test.png", toast)


@pytest.mark.parametrize(
    ("conn_id", "wrong", "reason"),
    [
        ("lit_no_network", {"network": "datil-prod"}, "datil-prod"),
        (
            "lit_no_role",
            {"vault_conn_id": "vault_consumer", "vault_path": KV_PATH},
            f"secret/{KV_PATH}",
        ),
    ],
)
def test_a_bad_connection_answers_with_the_reason(
    form: Page, conn_id: str, wrong: dict[str, str], reason: str
) -> None:
    add(form, conn_id, **wrong)
    assert reason in press_test(form, conn_id, "Test Connection Failed")
