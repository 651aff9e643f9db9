"""ChainSecured accounts: signatures, JSON-RPC, and the shared namespace of keys."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from lit_airflow.devnet.chipotle import Chipotle, key_service
from lit_airflow.devnet.chipotle.cid import action_cid
from lit_airflow.devnet.chipotle.identifiers import hex_address, hex_number, key_hash, wallet_account_hash
from lit_airflow.devnet.chipotle.wallet_signatures import signer_of_text, signer_of_typed_data
from tests.devnet_chipotle.client import TIMEOUT_S, Client, Json, cid_hash
from tests.devnet_chipotle.conftest import HandClock

NOW = 1795780800
DOMAIN = {"name": "Lit ChainSecured", "version": "1", "chainId": 8453}
FIELDS = [{"name": "address", "type": "address"}, {"name": "issuedAt", "type": "uint256"}]
DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
]
SET_KEY = (
    "setUsageApiKey(uint256,uint256,uint256,uint256,string,string,bool,bool,bool,"
    "uint256[],uint256[],uint256[],uint256[])"
)
REGISTERED = "0x" + keccak(text="WalletDerivationRegistered(uint256,address,uint256)").hex()


@pytest.fixture
def wallet() -> LocalAccount:
    account: LocalAccount = Account.from_key("0x" + "4d" * 32)
    return account


def typed(wallet: LocalAccount, purpose: str, **change: Any) -> Json:  # noqa: ANN401 - parts of JSON
    message = {"address": wallet.address, "issuedAt": NOW, **change.pop("message", {})}
    domain = {**DOMAIN, **change.pop("domain", {})}
    signable = encode_typed_data(domain, {purpose: FIELDS}, message)
    data = {
        "types": {"EIP712Domain": DOMAIN_FIELDS, purpose: FIELDS},
        "primaryType": purpose,
        "domain": {**domain, "chainId": str(domain["chainId"])},
        "message": {"address": message["address"], "issuedAt": str(message["issuedAt"])},
        **change,
    }
    return {"typed_data": data, "signature": "0x" + wallet.sign_message(signable).signature.hex()}


def text(wallet: LocalAccount, chain_id: object = 8453, issued_at: object = NOW, address: str = "") -> Json:
    message = (
        f"Make a wallet\nAddress: {address or wallet.address}\nChain ID: {chain_id}\nIssued At: {issued_at}\n"
    )
    signature = wallet.sign_message(encode_defunct(text=message)).signature
    return {"message": message, "signature": "0x" + signature.hex()}


class Chain:
    """Asks the chain, and signs for it."""

    def __init__(self, net: Chipotle) -> None:
        self.url = str(net.description["rpc_url"])
        self.contract = str(net.description["contract_address"])

    def ask(self, method: str, *params: object) -> Json:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        found: Json = requests.post(self.url, json=body, timeout=TIMEOUT_S).json()
        return found

    def data(self, signature: str, *values: object) -> str:
        types = signature.partition("(")[2][:-1]
        encoded = encode(types.split(",") if types else [], values)
        return "0x" + (function_signature_to_4byte_selector(signature) + encoded).hex()

    def view(self, signature: str, output: str, *values: object) -> object:
        call = {"to": self.contract, "data": self.data(signature, *values)}
        answer = self.ask("eth_call", call, "latest")
        return decode([output], bytes.fromhex(answer["result"][2:]))[0]

    def send(self, wallet: LocalAccount, signature: str, *values: object, **change: object) -> Json:
        nonce = int(self.ask("eth_getTransactionCount", wallet.address, "latest")["result"], 16)
        transaction = {
            "type": 2,
            "chainId": 8453,
            "nonce": nonce,
            "to": to_checksum_address(self.contract),
            "value": 0,
            "gas": 500_000,
            "maxFeePerGas": 10**7,
            "maxPriorityFeePerGas": 10**6,
            "data": self.data(signature, *values),
            **change,
        }
        raw = wallet.sign_transaction(transaction).raw_transaction
        return self.ask("eth_sendRawTransaction", "0x" + raw.hex())

    def done(self, wallet: LocalAccount, signature: str, *values: object) -> Json:
        name = self.send(wallet, signature, *values)["result"]
        receipt: Json = self.ask("eth_getTransactionReceipt", name)["result"]
        assert receipt["status"] == "0x1"
        return receipt

    def account(self, wallet: LocalAccount) -> int:
        self.done(wallet, "newChainSecuredAccount(string,string)", "mine", "")
        return wallet_account_hash(int(wallet.address, 16))

    def key(self, wallet: LocalAccount, account: int, text: str, groups: tuple[int, ...]) -> None:
        flags = (False, False, False)
        self.done(wallet, SET_KEY, account, key_hash(text), 1, 0, "k", "", *flags, (), (), (), groups)


class TestSignatures:
    def test_signed_wallet_creation(self, still: Client, wallet: LocalAccount) -> None:
        april = still.net.snapshot["profile"] == "april"
        proof = text(wallet) if april else typed(wallet, "CreateWallet")
        made = still.as_key("").done("create_wallet_with_signature", **proof)
        path = int(made["derivation_path"], 16)
        secret = still.net.network.state.keys.wallet_secret(path)
        assert made["wallet_address"] == hex_address(key_service.address(secret))

    @pytest.mark.parametrize(
        "change",
        [
            {"chain_id": 1},
            {"chain_id": "x"},
            {"issued_at": NOW - 301},
            {"issued_at": NOW + 301},
            {"issued_at": "2026-11-27"},
            {"address": "0x" + "11" * 20},
            {"address": "0x11"},
        ],
    )
    def test_texts_that_are_refused(self, hand_clock: HandClock, wallet: LocalAccount, change: Json) -> None:
        proof = text(wallet, **change)
        with pytest.raises(ValueError, match=r"."):
            signer_of_text(proof["message"], proof["signature"], hand_clock())

    @pytest.mark.parametrize(
        "change",
        [
            {"primaryType": "AddUsageApiKey"},
            {"domain": {"chainId": 1}},
            {"domain": {"name": "Another"}},
            {"message": {"issuedAt": NOW - 301}},
            {"types": {"EIP712Domain": DOMAIN_FIELDS, "CreateWallet": FIELDS[::-1]}},
            {"types": {"EIP712Domain": DOMAIN_FIELDS, "CreateWallet": FIELDS, "More": []}},
            {"more": 1},
            {"message": {"address": "0x" + "11" * 20}},
        ],
    )
    def test_typed_data_that_is_refused(
        self, hand_clock: HandClock, wallet: LocalAccount, change: Json
    ) -> None:
        proof = typed(wallet, "CreateWallet", **change)
        with pytest.raises(ValueError, match=r"."):
            signer_of_typed_data(proof["typed_data"], proof["signature"], "CreateWallet", hand_clock())

    @pytest.mark.parametrize("signature", ["", "0x", "0x" + "00" * 65, "zz", "0x" + "11" * 64])
    def test_malformed_signatures(self, june: Client, wallet: LocalAccount, signature: str) -> None:
        june.net.set_clock_offset(0)
        proof = {**typed(wallet, "CreateWallet"), "signature": signature}
        assert june.as_key("").post("create_wallet_with_signature", body=proof).status_code == 400

    def test_typed_data_as_text_and_too_large(self, hand_clock: HandClock, wallet: LocalAccount) -> None:
        proof = typed(wallet, "CreateWallet")
        as_text = json.dumps(proof["typed_data"])
        signer = signer_of_typed_data(as_text, proof["signature"], "CreateWallet", hand_clock())
        assert signer == int(wallet.address, 16)
        with pytest.raises(ValueError, match="too large"):
            signer_of_typed_data(as_text + " " * 4096, proof["signature"], "CreateWallet", hand_clock())

    def test_conversion(self, still: Client, wallet: LocalAccount) -> None:
        april = still.net.snapshot["profile"] == "april"
        group = still.group(" ")
        key = still.mint(execute_in_groups=[group])
        proof = text(wallet) if april else typed(wallet, "ConvertAccount")
        stranger = {**proof, "new_admin_wallet_address": "0x" + "11" * 20}
        assert still.post("convert_to_chain_secured_account", body=stranger).status_code == 400
        body = {**proof, "new_admin_wallet_address": wallet.address}
        assert still.done("convert_to_chain_secured_account", **body) == {"success": True}
        assert still.get("account_exists").json() is False
        refused = still.post("add_group", body=NEW_GROUP)
        assert refused.status_code == 402, "the owner's wallet has no credit yet"
        still.net.set_credit(100)
        refused = still.post("add_group", body=NEW_GROUP)
        assert refused.status_code == (500 if april else 403), "only the owner may write"
        assert len(still.listed("list_groups")) == 2, "and all else stays"
        chain = Chain(still.net)
        chain.done(wallet, "removeGroup(uint256,uint256)", key_hash(still.key), 1)
        assert len(still.listed("list_groups")) == 1
        assert key.run(" ").status_code == 200

    def test_billing_by_signature_from_june_on(self, june: Client, wallet: LocalAccount) -> None:
        june.net._call(lambda network: network.state.ledger.set_credit(int(wallet.address, 16), 70))
        offset = NOW - june.net.network.state.time().timestamp()
        june.net.set_clock_offset(offset)
        header = base64.b64encode(json.dumps(typed(wallet, "BillingAuth")).encode()).decode()
        nobody = june.as_key("")
        assert nobody.get("billing/balance", {"X-Wallet-Auth": header}).json()["balance_cents"] == -70
        assert nobody.get("billing/balance", {"X-Wallet-Auth": "x"}).status_code == 400
        made = nobody.post("billing/create_payment_intent", {"amount_cents": 500}, {"X-Wallet-Auth": header})
        assert made.status_code == 200

    def test_signed_key_creation(self, still: Client, wallet: LocalAccount) -> None:
        if still.net.snapshot["profile"] == "april":
            assert still.post("prepare_wallet").status_code == 404
            return
        made = still.as_key("").done("add_usage_api_key_with_signature", **typed(wallet, "AddUsageApiKey"))
        secret = base64.b64decode(made["usage_api_key"])
        assert made["wallet_address"] == hex_address(key_service.address(secret))
        assert still.as_key(made["usage_api_key"]).get("account_exists").json() is False
        prepared = requests.post(f"{still.url}/prepare_wallet", timeout=TIMEOUT_S).json()
        assert set(prepared) == {"wallet_address", "derivation_path"}


NEW_GROUP: Json = {
    "group_name": "g",
    "group_description": "",
    "pkp_ids_permitted": [],
    "cid_hashes_permitted": [],
}


class TestOwners:
    def test_own_account(self, june: Client, wallet: LocalAccount) -> None:
        chain = Chain(june.net)
        account = chain.account(wallet)
        june.net._call(lambda network: network.set_credit(50, hex_number(account)))
        group = "addGroup(uint256,string,string,uint256[],address[])"
        chain.done(wallet, group, account, "g", "", (int(cid_hash(" "), 16),), ())
        chain.key(wallet, account, "lk_text", (1,))
        key = june.as_key("lk_text")
        assert key.run(" ").status_code == 200
        assert key.credit_cents() == 49
        assert key.get("account_exists").json() is False, "as of all ChainSecured accounts"
        assert [item["api_key_hash"] for item in key.listed("list_api_keys")] == [
            hex_number(key_hash("lk_text"))
        ]
        chain.done(wallet, "removeUsageApiKey(uint256,uint256)", account, key_hash("lk_text"))
        assert key.get("list_api_keys", page_number=0, page_size=1).status_code == 500

    def test_accounts_of_others(self, june: Client, wallet: LocalAccount) -> None:
        chain = Chain(june.net)
        account = key_hash(june.key)
        data = chain.data("removeGroup(uint256,uint256)", account, 1)
        call = {"from": wallet.address, "to": chain.contract, "data": data}
        for method in ("eth_call", "eth_estimateGas"):
            refused = chain.ask(method, call)["error"]
            assert (
                refused["code"],
                refused["message"].startswith("execution reverted: NoAccountAccess"),
            ) == (3, True)
            assert refused["data"].startswith("0x")
        name = chain.send(wallet, "removeGroup(uint256,uint256)", account, 1)["result"]
        assert chain.ask("eth_getTransactionReceipt", name)["result"]["status"] == "0x0"
        assert len(june.listed("list_groups")) == 1

    def test_servers_hear_of_it_in_time_from_june_on(
        self, still: Client, wallet: LocalAccount, hand_clock: HandClock
    ) -> None:
        chain = Chain(still.net)
        account = chain.account(wallet)
        still.net._call(lambda network: network.set_credit(50, hex_number(account)))
        chain.done(wallet, "addGroup(uint256,string,string,uint256[],address[])", account, "g", "", (), ())
        chain.key(wallet, account, "lk_text", (1,))
        key = still.as_key("lk_text")
        assert key.run(" ").status_code == 403
        chain.done(wallet, "addActionToGroup(uint256,uint256,uint256)", account, 1, int(cid_hash(" "), 16))
        hand_clock.move(9)
        assert key.run(" ").status_code == 403
        hand_clock.move(2)
        june = still.net.snapshot["profile"] == "june"
        assert key.run(" ").status_code == (200 if june else 403)


class TestRpc:
    def test_the_chain(self, june: Client) -> None:
        chain = Chain(june.net)
        assert chain.ask("eth_chainId")["result"] == hex(8453)
        height = int(chain.ask("eth_blockNumber")["result"], 16)
        june.group()
        assert int(chain.ask("eth_blockNumber")["result"], 16) == height + 1
        assert chain.ask("eth_getCode", chain.contract, "latest")["result"] != "0x"
        assert chain.ask("eth_getCode", "0x" + "11" * 20, "latest")["result"] == "0x"
        assert chain.ask("eth_call", {"to": "0x" + "11" * 20, "data": "0x"}, "latest")["result"] == "0x"
        assert chain.ask("eth_nothing")["error"]["code"] == -32601
        assert chain.ask("eth_call")["error"]["code"] == -32602
        assert chain.ask("eth_call", {"to": chain.contract, "data": "0x12345678"})["error"]["code"] == 3
        assert requests.post(chain.url, data="{", timeout=TIMEOUT_S).json()["error"]["code"] == -32700
        assert requests.post(chain.url, json=[{}], timeout=TIMEOUT_S).json()[0]["error"]["code"] == -32600

    def test_transactions_that_are_refused(self, june: Client, wallet: LocalAccount) -> None:
        chain, new = Chain(june.net), "newChainSecuredAccount(string,string)"
        assert "chain id" in chain.send(wallet, new, "a", "", chainId=1)["error"]["message"]
        assert "nonce too high" in chain.send(wallet, new, "a", "", nonce=7)["error"]["message"]
        chain.done(wallet, new, "a", "")
        assert "nonce too low" in chain.send(wallet, new, "a", "", nonce=0)["error"]["message"]
        assert "EIP-1559" in chain.ask("eth_sendRawTransaction", "0x" + "f8" * 20)["error"]["message"]

    def test_registrations_are_logged(self, june: Client) -> None:
        chain = Chain(june.net)
        made = june.wallet()
        everything = {"address": chain.contract, "fromBlock": "earliest", "toBlock": "latest"}
        logs = chain.ask("eth_getLogs", {**everything, "topics": [REGISTERED]})["result"]
        assert len(logs) == 3, "master wallet, usage key, and this one"
        last = logs[-1]
        account, address = key_hash(june.key), int(made, 16)
        assert last["topics"] == [REGISTERED, hex_number(account), hex_number(address)]
        path = int(last["data"], 16)
        assert june.net.network.state.keys.wallet_secret(path)
        by_address = {**everything, "topics": [[REGISTERED], None, hex_number(address)]}
        assert chain.ask("eth_getLogs", by_address)["result"] == [last]
        later = {**everything, "fromBlock": hex(int(last["blockNumber"], 16) + 1), "topics": [REGISTERED]}
        assert chain.ask("eth_getLogs", later)["result"] == []
        assert chain.ask("eth_getLogs", {**everything, "address": "0x" + "11" * 20})["result"] == []
        assert chain.view("getPkpOwnerMaster(address)", "uint256", made) == account
        assert chain.view("getPathOwnerMaster(uint256)", "uint256", path) == account
        assert chain.view("getWalletDerivation(uint256,address)", "uint256", account, made) == path
        assert chain.view("getPkpOwnerMaster(address)", "uint256", "0x" + "11" * 20) == 0


class TestNamespace:
    """Wallets and actions share one namespace of derivation paths."""

    TAKE = "const main = (pkpId) => Lit.Actions.getPrivateKey({ pkpId });"

    def _thief(self, june: Client, wallet: LocalAccount, address: str, path: int) -> Client:
        chain = Chain(june.net)
        account = chain.account(wallet)
        june.net._call(lambda network: network.set_credit(50, hex_number(account)))
        register = "registerWalletDerivation(uint256,address,uint256,string,string)"
        chain.done(wallet, register, account, address, path, "", "")
        chain.key(wallet, account, "lk_thief", (0,))
        return june.as_key("lk_thief")

    def test_any_actions_secret_by_its_path_where_nothing_is_compared(
        self, june: Client, wallet: LocalAccount
    ) -> None:
        gate = june.net.network.account.gate.text
        cid = action_cid(gate)
        path = key_service.action_path(cid)
        thief = self._thief(june, wallet, "0x" + "11" * 20, path)
        taken = thief.run(self.TAKE, "0x" + "11" * 20).json()["response"]
        assert taken == "0x" + june.net.network.state.keys.action_secret(cid).hex()
        june.net.set_rule("compares_derivation", holds=True)
        refused = thief.run(self.TAKE, "0x" + "11" * 20)
        assert refused.status_code == 500
        assert "does not match" in refused.json()

    def test_the_address_that_belongs_to_the_path_passes_the_comparison(
        self, june: Client, wallet: LocalAccount
    ) -> None:
        cid = action_cid(june.net.network.account.gate.text)
        secret = june.net.network.state.keys.action_secret(cid)
        address = hex_address(key_service.address(secret))
        june.net.set_rule("compares_derivation", holds=True)
        thief = self._thief(june, wallet, address, key_service.action_path(cid))
        assert thief.run(self.TAKE, address).json()["response"] == "0x" + secret.hex()

    @pytest.mark.parametrize(("rule", "same"), [("owns_addresses", "address"), ("owns_paths", "path")])
    def test_ownership_of_addresses_and_paths(
        self, june: Client, wallet: LocalAccount, rule: str, same: str
    ) -> None:
        chain = Chain(june.net)
        made = june.wallet()
        path = chain.view("getWalletDerivation(uint256,address)", "uint256", key_hash(june.key), made)
        given = (made, 5) if same == "address" else ("0x" + "11" * 20, path)
        account = chain.account(wallet)
        register = "registerWalletDerivation(uint256,address,uint256,string,string)"
        june.net.set_rule(rule, holds=True)
        name = chain.send(wallet, register, account, *given, "", "")["result"]
        assert chain.ask("eth_getTransactionReceipt", name)["result"]["status"] == "0x0"
        june.net.set_rule(rule, holds=False)
        chain.done(wallet, register, account, *given, "", "")

    def test_an_unregistered_wallet_is_the_same_key_for_all(self, june: Client) -> None:
        code = 'const main = () => Lit.Actions.Encrypt({ pkpId: "0x" + "77".repeat(20), message: "m" });'
        decrypt = 'const main = (c) => Lit.Actions.Decrypt({ pkpId: "0x" + "88".repeat(20), ciphertext: c });'
        other = june.new_account().mint(execute_in_groups=[0])
        ciphertext = june.mint(execute_in_groups=[0]).run(code).json()["response"]
        assert other.run(decrypt, ciphertext).json()["response"] == "m"
        june.net.set_rule("compares_derivation", holds=True)
        assert other.run(decrypt, ciphertext).status_code == 500
