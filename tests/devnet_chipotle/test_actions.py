"""Lit Actions in real Deno: environment, keys, isolation, limits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests

from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.chipotle.cid import action_cid
from lit_airflow.devnet.chipotle.profiles import JUNE
from tests.devnet_chipotle.client import Client, Json, owner, payer
from tests.devnet_chipotle.conftest import HandClock
from tests.devnet_chipotle.warm_engine import WarmEngine

FAILED = "Internal server error.: Actions failed with : "
RESPONDS = "const main = (n) => 'x'.repeat(n);"
LOGS = "const main = (n) => { console.log('x'.repeat(n - 1)); };"
SMALL = replace(JUNE.limits, time_s=5, log_bytes=300, response_bytes=500, code_bytes=2000)


@pytest.fixture(scope="module")
def anything(warm: WarmEngine) -> Iterator[Client]:
    """A key that may run everything, in June."""
    with Chipotle("june") as net:
        yield owner(warm.serve(net)).mint(execute_in_groups=[0])


@pytest.fixture(scope="module")
def apart() -> Iterator[Client]:
    """The same, with a process for each run, as everywhere but in tests."""
    with Chipotle("june") as net:
        yield owner(net).mint(execute_in_groups=[0])


@pytest.fixture(scope="module")
def limited() -> Iterator[Client]:
    """The same, with small limits."""
    with Chipotle("june", settings=Settings(limits=SMALL)) as net:
        yield owner(net).mint(execute_in_groups=[0])


def answered(answer: requests.Response) -> Json:
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


class TestEnvironment:
    def test_parameters_logs_and_surroundings(self, anything: Client) -> None:
        code = """
        async function main(params) {
          console.log("one", { two: 2 });
          console.error("three");
          return {
            params,
            address: ethers.utils.computeAddress("0x" + "01".repeat(32)),
            version: ethers.version,
            id: Lit.Headers.get("x-request-id"),
            correlation: Lit.Headers.get("x-correlation-id"),
            same: Lit.Actions === LitActions,
            imports: Lit.Actions.showImportDetails(),
            text: new TextDecoder().decode(new TextEncoder().encode(atob("4pqg"))),
            digest: (await crypto.subtle.digest("SHA-256", new Uint8Array(1))).byteLength,
          };
        }"""
        params = {"b": [1, None, "é \u2028 \N{GOTHIC LETTER AHSA}"], "a": 1.5}
        answer = anything.post("lit_action", {"code": code, "js_params": params}, {"X-Correlation-Id": "c"})
        body = answered(answer)
        found = body["response"]
        assert (found["params"], list(found["params"])) == (params, ["b", "a"])
        assert found["address"] == "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"
        assert found["version"] == "ethers/5.7.2"
        assert (found["id"], found["correlation"]) == (answer.headers["x-request-id"], "c")
        assert (found["same"], found["imports"], found["digest"]) == (True, [], 32)
        assert body["logs"] == "one { two: 2 }\nthree\n[Import Details]\n[]\n"
        assert body["has_error"] is False

    def test_unpaired_surrogates_are_replaced(self, anything: Client) -> None:
        code = """
        const half = "\\ud800";
        async function main(fails) {
          console.log(half);
          if (fails) throw new Error(half);
          return { half };
        }"""
        body = answered(anything.run(code, 0))
        assert body["logs"] == "\ufffd\n"
        assert body["response"] == '{"half":"\\ud800"}', "JSON that the server's parser refuses"
        assert "\ufffd" in anything.run(code, 1).json()

    def test_no_parameters_are_null(self, anything: Client) -> None:
        assert answered(anything.post("lit_action", code="const main = (p) => ({ p });"))["response"] == {
            "p": None
        }

    def test_set_response(self, anything: Client) -> None:
        code = "async function main() { Lit.Actions.setResponse({ response: { a: 1 } }); }"
        assert answered(anything.run(code))["response"] == {"a": 1}

    def test_blank_code_runs_nothing(self, anything: Client) -> None:
        assert answered(anything.run(" \n\t ")) == {"response": "", "logs": "", "has_error": False}

    def test_by_cid_once_it_was_run(self, anything: Client) -> None:
        code = "const main = () => 42;"
        cid = action_cid(code)
        assert anything.post("lit_action", ipfs_id=cid).status_code == 400
        assert answered(anything.run(code))["response"] == 42
        assert answered(anything.post("lit_action", ipfs_id=cid))["response"] == 42

    def test_with_both_the_code_decides(self, anything: Client) -> None:
        answer = anything.run(" ", ipfs_id=action_cid("something else"))
        assert answered(answer)["response"] == ""

    def test_code_of_refused_runs_is_not_cached(self, anything: Client) -> None:
        code = "const main = () => 43;"
        assert payer(anything.net).run(code).status_code == 403
        assert anything.post("lit_action", ipfs_id=action_cid(code)).status_code == 400

    @pytest.mark.parametrize(
        ("code", "failure"),
        [
            (
                "async function main() { throw new TypeError('no'); }",
                "Uncaught (in promise) TypeError: no\n    at ",
            ),
            ("const other = 1;", "Uncaught (in promise) ReferenceError: main is not defined\n    at "),
        ],
    )
    def test_failures_are_500_and_show_their_text(self, anything: Client, code: str, failure: str) -> None:
        answer = anything.run(code)
        assert answer.status_code == 500
        assert answer.json().startswith(FAILED + failure)

    def test_the_clock_of_the_service_is_theirs(self, hand_clock: HandClock) -> None:
        with Chipotle("june", settings=Settings(clock=hand_clock)) as net:
            net.set_clock_offset(-600)
            runner = owner(net).mint(execute_in_groups=[0])
            code = "const main = () => ({ now: Date.now(), made: new Date().getTime() });"
            answer = runner.run(code)
            expected = int(hand_clock().timestamp() - 600) * 1000
            assert answered(answer)["response"] == {"now": expected, "made": expected}
            assert answer.headers["date"] == "Fri, 27 Nov 2026 11:50:00 GMT"


class TestKeys:
    def test_one_run_with_all_of_them(self, anything: Client) -> None:
        wallet = owner(anything.net).wallet()
        code = f"""
        async function main() {{
          const pkpId = "{wallet}", ipfsId = "{action_cid("another")}";
          const A = Lit.Actions;
          const secret = await A.getPrivateKey({{ pkpId }});
          const own = await A.getLitActionPrivateKey();
          const ciphertext = await A.Encrypt({{ pkpId, message: "text é" }});
          const tries = {{}};
          const attempt = async (name, call) => {{
            try {{ tries[name] = await call(); }} catch (error) {{ tries[name] = String(error); }}
          }};
          await attempt("blank", () => A.Encrypt({{ pkpId, message: " " }}));
          await attempt("missing", () => A.Encrypt({{ pkpId }}));
          await attempt("empty", () => A.Decrypt({{ pkpId, ciphertext: "" }}));
          await attempt("short", () => A.Decrypt({{ pkpId, ciphertext: "00" }}));
          await attempt("hex", () => A.Decrypt({{ pkpId, ciphertext: "zz" }}));
          await attempt("altered", () => A.Decrypt({{ pkpId, ciphertext: ciphertext.slice(0, -2) + "00" }}));
          await attempt("prefix", () => A.Decrypt({{ pkpId: pkpId.slice(2), ciphertext }}));
          await attempt("address", () => A.Decrypt({{ pkpId: "0x12", ciphertext }}));
          await attempt("twice", () => A.Decrypt({{ pkpId, ciphertext: "0x" + ciphertext.toUpperCase() }}));
          return {{
            wallet: ethers.utils.computeAddress(secret).toLowerCase(),
            own: ethers.utils.computeAddress(own).toLowerCase(),
            stated: await A.getLitActionWalletAddress({{ ipfsId: "OWN" }}),
            key: await A.getLitActionPublicKey({{ ipfsId }}),
            address: await A.getLitActionWalletAddress({{ ipfsId }}),
            plaintext: await A.Decrypt({{ pkpId, ciphertext }}),
            different: ciphertext !== await A.Encrypt({{ pkpId, message: "text é" }}),
            tries,
          }};
        }}"""
        found = answered(anything.run(code))["response"]
        assert found["wallet"] == wallet
        assert (found["plaintext"], found["different"]) == ("text é", True)
        assert (len(found["key"]), found["key"][:3]) == (68, "0x0")
        assert found["tries"] == {
            "blank": "RangeError: message must not be blank",
            "missing": "TypeError: expected string",
            "empty": "RangeError: ciphertext must not be empty",
            "short": "Error: Invalid ciphertext: too short",
            "hex": "Error: Invalid ciphertext: not hex",
            "altered": "Error: Decryption failed",
            "prefix": "Error: Unable to parse H160 address: it must be prefixed with 0x",
            "address": "Error: Unable to parse wallet address: invalid address: expected 20 bytes, got 1",
            "twice": "text é",
        }

    def test_an_actions_own_key_is_what_others_see_of_it(self, anything: Client) -> None:
        code = "const main = async () => ethers.utils.computeAddress(await Lit.Actions.getLitActionPrivateKey());"
        look = "const main = async (ipfsId) => Lit.Actions.getLitActionWalletAddress({ ipfsId });"
        own = answered(anything.run(code))["response"]
        assert answered(anything.run(look, action_cid(code)))["response"] == own.lower()

    def test_action_and_wallet_in_one_group(self, anything: Client) -> None:
        account = owner(anything.net)
        wallet, other = account.wallet(), account.wallet()
        code = """
        async function main(pkps) {
          const use = (pkpId) => Lit.Actions.Encrypt({ pkpId, message: "m" }).then(() => true, (e) => e.message);
          return Promise.all(pkps.map(use));
        }"""
        first, second = account.group(code, pkps=(wallet,)), account.group("other", pkps=(other,))
        key = account.mint(execute_in_groups=[first, second])
        denied = "API key cannot use selected wallet in selected action"
        assert answered(key.run(code, [wallet, other]))["response"] == [True, denied]

    @pytest.mark.parametrize(("profile", "allowed"), [("april", 12), ("june", 10)])
    def test_how_many_keys_a_run_may_read(self, profile: str, allowed: int) -> None:
        code = """
        async function main() {
          let read = 0;
          try { for (; read < 12; read++) await Lit.Actions.getLitActionPrivateKey(); } catch {}
          return read;
        }"""
        with Chipotle(profile) as net:
            assert answered(owner(net).mint(execute_in_groups=[0]).run(code))["response"] == allowed


class TestIsolation:
    def test_nothing_is_reachable(self, apart: Client) -> None:
        code = """
        async function main({ url }) {
          const tries = {
            read: () => Deno.readTextFile("/etc/hostname"),
            write: () => Deno.writeTextFile("/tmp/action", "x"),
            list: () => [...Deno.readDirSync("/")],
            environment: () => Deno.env.toObject(),
            process: () => new Deno.Command("ls").output(),
            listen: () => Deno.listen({ port: 0 }),
            connect: () => Deno.connect({ port: 80, hostname: "127.0.0.1" }),
            fetch: () => fetch(url),
            host: () => Deno.hostname(),
            eval: () => (0, eval)("1"),
            Function: () => new Function("return 1")(),
            worker: () => new Worker("data:text/javascript,1"),
            import: () => import("https://cdn.example/module.js"),
            node: () => import("node:fs").then((fs) => fs.readFileSync("/etc/hostname")),
            exit: () => Deno.exit(0),
          };
          const reached = [];
          for (const [name, attempt] of Object.entries(tries)) {
            try { await attempt(); reached.push(name); } catch {}
          }
          const left = [Deno.build, Deno.permissions, Deno.version, globalThis.Worker];
          return { reached, left: left.map((value) => typeof value) };
        }"""
        answer = apart.run(code, {"url": apart.net.description["control_url"]})
        assert answered(answer)["response"] == {"reached": [], "left": ["undefined"] * 4}

    def test_runs_share_nothing(self, apart: Client) -> None:
        leave = "globalThis.left = 1; Object.prototype.left = 1; const main = () => 1;"
        look = "const main = () => ({ own: typeof globalThis.left, all: typeof ({}).left });"
        assert answered(apart.run(leave))["response"] == 1
        assert answered(apart.run(look))["response"] == {"own": "undefined", "all": "undefined"}

    def test_the_network_that_is_allowed(self) -> None:
        with Chipotle("june") as target:
            host = str(target.description["api_url"]).split("/")[2]
            with Chipotle("june", settings=Settings(allow_net=[host])) as net:
                code = """
                async function main(url) {
                  const found = await (await fetch(url + "/version")).json();
                  let count = 1;
                  try { for (; count < 60; count++) await (await fetch(url + "/version")).text(); } catch {}
                  return { name: found.name, count };
                }"""
                answer = owner(net).mint(execute_in_groups=[0]).run(code, target.description["api_url"])
        assert answered(answer)["response"] == {"name": "lit-api-server", "count": 50}


class TestLimits:
    def test_too_much_memory_costs_that_run_alone(self, apart: Client) -> None:
        greedy = (
            "const main = () => { const kept = []; for (;;) kept.push(new Array(1e5).fill(kept.length)); };"
        )
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(apart.run, [greedy, "const main = () => 1;"]))
        assert [answer.status_code for answer in answers] == [500, 200]
        text = "Your function exceeded the maximum memory of 64 MB and was terminated."
        assert answers[0].json() == FAILED + text

    def test_a_timer_left_behind_keeps_the_run_open_until_its_time_is_over(self, limited: Client) -> None:
        endless = "const main = () => { setInterval(() => {}, 1000); return 1; };"
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(limited.run, [endless, "const main = () => 1;"]))
        assert [answer.status_code for answer in answers] == [500, 200]
        text = "Your function exceeded the maximum runtime of 5000ms and was terminated."
        assert answers[0].json() == FAILED + text

    @pytest.mark.parametrize(
        ("code", "length", "fits"),
        [
            (RESPONDS, 500, True),
            (RESPONDS, 501, False),
            (LOGS, 300, True),
            (LOGS, 301, False),
        ],
    )
    def test_response_and_logs(self, limited: Client, code: str, length: int, *, fits: bool) -> None:
        assert limited.run(code, length).status_code == (200 if fits else 500)

    @pytest.mark.parametrize(("profile", "counts"), [("april", False), ("june", True)])
    def test_the_length_of_the_code(self, profile: str, *, counts: bool) -> None:
        with Chipotle(profile, settings=Settings(limits=SMALL)) as net:
            runner = owner(net).mint(execute_in_groups=[0])
            assert runner.run(" " * 2000).status_code == (500 if counts else 200), "null counts from June on"
            assert runner.run(" " * 1900, "y" * 99).status_code == (500 if counts else 200)
            answer = runner.run(" " * 2001)
            assert answer.status_code == 500
            assert answer.json().startswith(FAILED + "Code payload is too large (200")
