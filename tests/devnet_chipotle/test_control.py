"""The control server, the command, and secrets in logs."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from lit_airflow.devnet.chipotle import Chipotle, Settings, serve_chipotle
from lit_airflow.errors import SettingsError
from tests.devnet_chipotle.client import TIMEOUT_S, Client, Json, payer

BLANK = " "


class Control:
    def __init__(self, client: Client) -> None:
        self.url = str(client.net.description["control_url"])

    def get(self, path: str) -> object:
        return requests.get(self.url + path, timeout=TIMEOUT_S).json()

    def post(self, path: str, **body: object) -> Json:
        answer = requests.post(self.url + path, json=body, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


@pytest.fixture
def control(june: Client) -> Control:
    return Control(june)


def test_the_state(june: Client, control: Control) -> None:
    state = control.get("/")
    assert isinstance(state, dict)
    assert state.items() >= june.net.description.items()
    assert (state["profile"], state["in_force"], state["clock_offset_s"]) == ("june", [], 0)
    assert "lost-after" in state["faults"]
    [account] = state["accounts"]
    assert (account["credit_cents"], account["groups"], account["managed"]) == (5_000, 1, True)


def test_keys_minted_and_keys_left(june: Client, control: Control) -> None:
    kept, removed = june.mint(), june.mint()
    june.done("remove_usage_api_key", usage_api_key=removed.key)
    [account] = control.post("/clock", offset_s=0)["accounts"]
    assert len(account["keys_minted"]) == 3
    assert account["keys_minted"][:2] == account["keys_left"]
    assert kept.get("account_exists").json() is True


def test_requests_and_bills(june: Client, control: Control) -> None:
    june.group()
    june.get("nothing", {"X-Privacy-Mode": "1"})
    first, second = control.get("/requests")  # type: ignore[misc]
    assert (first["call"], first["status"], first["private"]) == ("add_group", 200, False)
    assert (second["call"], second["status"], second["private"]) == ("nothing", 404, True)
    assert first["key_hash"] == second["key_hash"]
    [bill] = control.get("/bills")  # type: ignore[misc]
    assert (bill["what"], bill["cents"]) == ("add_group", 1)


def test_faults(june: Client, control: Control) -> None:
    state = control.post("/faults", fault="overloaded", call="version", times=2)
    assert state["in_force"] == [{"fault": "overloaded", "call": "version", "seconds": 0, "left": 2}]
    assert [june.get("version").status_code for _ in range(3)] == [429, 429, 200]
    control.post("/faults", fault="broken")
    assert june.get("version").status_code == 500
    control.post("/faults", fault=None)
    assert june.get("version").status_code == 200
    control.post("/faults", fault="down")
    with pytest.raises(requests.ConnectionError):
        june.get("version")
    assert requests.delete(control.url + "/faults", timeout=TIMEOUT_S).json()["in_force"] == []
    assert june.get("version").status_code == 200


def test_each_switch(june: Client, control: Control) -> None:
    assert control.post("/credit", cents=0)["accounts"][0]["credit_cents"] == 0
    assert june.post("add_group").status_code == 402
    account = control.get("/")["accounts"][0]["account_hash"]  # type: ignore[index]
    control.post("/credit", cents=10, account=account)
    assert june.credit_cents() == 10
    control.post("/billing", down=True)
    assert june.get("billing/balance").status_code == 503
    control.post("/billing", down=False)
    made = june.done("billing/create_payment_intent", amount_cents=500)["payment_intent_id"]
    control.post("/payments", payment_intent_id=made)
    june.done("billing/confirm_payment", payment_intent_id=made)
    assert june.credit_cents() == 510
    control.post("/chain", delay_s=3600)
    june.group()
    assert len(june.listed("list_groups")) == 1
    control.post("/chain", settle=True, delay_s=0)
    assert len(june.listed("list_groups")) == 2
    control.post("/chain", down=True)
    assert june.get("list_groups", page_number=0, page_size=1).status_code == 500
    control.post("/chain", down=False)
    rules = control.post("/rules", compares_derivation=True, weak_scope_writes=False)["rules"]
    assert (rules["compares_derivation"], rules["weak_scope_writes"]) == (True, False)
    key = june.mint(execute_in_groups=[june.group()])
    assert key.run(BLANK).status_code == 403
    control.post("/cache", lifetime_s=0)
    control.post("/clock", offset_s=3600)
    before = june.net.network.state.keys
    control.post("/root")
    assert june.net.network.state.keys is not before


@pytest.mark.parametrize(
    ("path", "body", "wrong"),
    [
        ("/faults", {"fault": "nothing"}, "there is no fault"),
        ("/faults", {"fault": "slow"}, "takes seconds"),
        ("/faults", {"fault": "broken", "call": "lit_acton"}, "there is no call"),
        ("/faults", {"fault": None, "call": "0"}, "there is no call"),
        ("/faults", {"more": 1}, "unknown: more"),
        ("/clock", {}, "missing field `offset_s`"),
        ("/clock", {"offset_s": "x"}, "invalid type"),
        ("/clock", {"offset_s": 1e12}, "within a century"),
        ("/chain", {"delay_s": -1}, "from 0 to a century"),
        ("/rules", {"nothing": True}, "unknown rule"),
        ("/rules", {"owns_paths": 1}, "true or false"),
        ("/cache", {"lifetime_s": -1}, "must be 0 or more"),
        ("/credit", {"cents": 1, "account": "0x01"}, "unknown account"),
        ("/payments", {"payment_intent_id": "x"}, "there is no payment"),
    ],
)
def test_bad_requests(control: Control, path: str, body: Json, wrong: str) -> None:
    answer = requests.post(control.url + path, json=body, timeout=TIMEOUT_S)
    assert answer.status_code == 400
    assert wrong in answer.json()["error"]


def test_unknown_paths(control: Control) -> None:
    answer = requests.get(control.url + "/nothing", timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["error"]) == (404, "GET /nothing: 404: Not Found")
    assert requests.post(control.url + "/faults", json=[], timeout=TIMEOUT_S).status_code == 400


def test_requests_of_web_pages_are_refused(control: Control) -> None:
    page = {"Origin": "http://page.example"}
    assert requests.delete(control.url + "/faults", headers=page, timeout=TIMEOUT_S).status_code == 403
    plain = {"Content-Type": "text/plain"}
    answer = requests.post(control.url + "/root", data="{}", headers=plain, timeout=TIMEOUT_S)
    assert answer.status_code == 415


def test_served_until_it_is_stopped() -> None:
    said: list[Json] = []
    stop, ready = threading.Event(), threading.Event()

    def announce(description: Json) -> None:
        said.append(description)
        ready.set()

    with ThreadPoolExecutor() as pool:
        served = pool.submit(
            serve_chipotle, "127.0.0.1", 0, announce, stop, profile="april", faults=["version=broken"]
        )
        assert ready.wait(TIMEOUT_S)
        url = said[0]["api_url"]
        assert requests.get(f"{url}/version", timeout=TIMEOUT_S).status_code == 500
        assert requests.get(f"{url}/get_api_payers", timeout=TIMEOUT_S).status_code == 200
        stop.set()
        served.result(TIMEOUT_S)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/version", timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    "fault", ["version", "version=nothing", "version=slow:x", "version=slow", "0=silent"]
)
def test_faults_that_cannot_be_read(fault: str) -> None:
    with pytest.raises(SettingsError, match="lit_action=overloaded"):
        serve_chipotle("127.0.0.1", 0, lambda _: None, threading.Event(), faults=[fault])


def test_bad_settings(june: Client) -> None:
    with pytest.raises(SettingsError, match="no profile 'may'"):
        Chipotle("may")
    port = int(str(june.net.description["api_url"]).split(":")[2].split("/")[0])
    with pytest.raises(SettingsError, match=f"port {port} cannot be used"), Chipotle(port=port):
        pass


def test_three_ports_in_a_row() -> None:
    for port in range(21_000, 29_000, 7):
        with suppress(SettingsError), Chipotle(port=port) as net:
            urls = [str(net.description[name]) for name in ("api_url", "rpc_url", "control_url")]
            break
    assert [int(url.split(":")[2].split("/")[0]) for url in urls] == [port, port + 1, port + 2]


def test_the_command_prints_one_line_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-m", "lit_airflow.cli", "devnet", "--generation", "chipotle"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = json.loads(process.stdout.readline())
        assert requests.get(f"{said['api_url']}/version", timeout=TIMEOUT_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_no_secret_in_logs_or_reprs(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Keys, plaintexts and roots appear neither in what is logged nor in what objects show."""
    caplog.set_level(logging.DEBUG)
    root, canary = b"\x5a" * 32, "canary-7c572d62"
    with Chipotle("june", settings=Settings(root=root)) as net:
        client = Client(net, str(net.description["account_key"]))
        code = f"async function main(p) {{ console.log(p); throw new Error(p); }} // {canary}"
        key = client.mint(execute_in_groups=[client.group(code)])
        key.run(code, canary)
        net.set_fault("broken")
        key.run(code, canary)
        shown = [
            repr(value)
            for value in (net.network.account, net.network.state.request_log, net.network.state.chain)
        ]
        shown += [str(net.requests), str(net.bills)]
        secrets = [client.key, key.key, payer(net).key, canary, root.hex(), str(net.description["locks"])]
    out, err = capfd.readouterr()
    said = "\n".join([*(record.getMessage() for record in caplog.records), *shown, out, err])
    assert [secret for secret in secrets if secret in said] == []
