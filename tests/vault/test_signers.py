"""Wallets whose key is elsewhere: what is asked of the signer, what is taken from it, what is not."""

import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow import Scope, Wallet
from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    SettingsError,
    SignatureError,
    SignerDeniedError,
    SignerUnavailableError,
    VaultDeniedError,
    VaultUnavailableError,
)
from lit_airflow.hooks import LitHook
from lit_airflow.keys.signers.engine import ENGINES
from lit_airflow.keys.signers.remote_wallet import prefixed
from lit_airflow.keys.wallet import CURVE_ORDER, recover
from lit_airflow.provider.doctor import Verdict, examine
from lit_airflow.provider.settings import SIGNER_TAKES
from lit_airflow.sandbox.processes import free_port
from tests.vault.certificates import Authority
from tests.vault.parts import KEY_READ, LOGIN, SEALED, Bao, Connections, forms, told
from tests.vault.signing import Signing, signing_server

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
TEXT = "localhost wants you to sign in with your Ethereum account:\nnaïve → 5"
OTHER = bytes([7]) * 32
PAGE = Path(__file__).parents[2] / "docs" / "signers.md"
[OF_THE_PAGE] = re.findall(r"^```hcl\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
SIGNS = """
    path "quorum/ethereum/accounts/*" { capabilities = ["create", "update", "read"] }
    path "ethsign/accounts/lit" { capabilities = ["read"] }
    path "ethsign/accounts/lit/*" { capabilities = ["create", "update"] }
"""


@pytest.fixture
def signing(bao: Bao) -> Iterator[Signing]:
    """A server that holds the wallet of the other tests, and one more."""
    with signing_server(bao.key.reveal(), OTHER, vault=bao.address) as server:
        yield server


@pytest.fixture
def at(bao: Bao, signing: Signing, connections: Connections) -> Callable[..., LitHook]:
    """A hook whose connection names that server; its Vault role may use the engines, and not read the key."""
    policy = OF_THE_PAGE + SIGNS
    connections.vault("vault_signing", signing.port, bao.role("signing", policy))

    def hook(kind: str, **extra: object) -> LitHook:
        engines: dict[str, dict[str, object]] = {
            "vault-ethereum": {"vault_path": "ethereum/accounts/lit"},
            "quorum": {
                "vault_path": f"quorum/ethereum/accounts/{bao.wallet.address}",
                "signer_takes": "data",
            },
            "ethsign": {"vault_path": "ethsign/accounts/lit", "signer_takes": "digest"},
        }
        fields: dict[str, object] = {"timeout_s": 10, "wallet_address": bao.wallet.address}
        if kind in engines:
            fields |= {"signer": "vault", **engines[kind]}
        else:
            fields |= {"signer": kind, "signer_url": f"http://127.0.0.1:{signing.port}/"}
        fields |= {"vault_conn_id": "vault_signing", **extra}
        connections.lit("lit_signing", str(fields.pop("vault_conn_id")), **fields)
        return LitHook("lit_signing")

    return hook


KINDS = pytest.mark.parametrize("kind", ["web3signer", "eth_sign", "vault-ethereum", "quorum", "ethsign"])


@KINDS
def test_it_signs_as_the_key_itself_would(bao: Bao, at: Callable[..., LitHook], kind: str) -> None:
    wallet = at(kind).get_wallet()
    assert wallet.address == bao.wallet.address
    assert wallet.sign(TEXT) == bao.wallet.sign(TEXT)


@KINDS
def test_a_session_signed_elsewhere_decrypts_and_the_key_is_not_read(
    bao: Bao, at: Callable[..., LitHook], kind: str, container: dict[str, Any]
) -> None:
    hook = at(kind)
    with bao.watched() as paths:
        ticket = hook.make_ticket(hook.open_session(hook.scope_of(container)))
    assert (
        LitHook("lit_consumer").decrypt(container, LitHook("lit_consumer").open_ticket(ticket))
        == b"the plaintext"
    )
    assert [path for path in paths if not path.startswith("sys/")] == [LOGIN, SEALED]
    assert KEY_READ not in paths


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("web3signer", ["GET /api/v1/eth1/publicKeys", "POST /api/v1/eth1/sign/{key}"]),
        ("eth_sign", ["POST /", "POST /"]),
        ("vault-ethereum", ["POST /v1/ethereum/accounts/lit/sign"]),
        ("quorum", ["POST /v1/quorum/ethereum/accounts/{address}/sign"]),
        ("ethsign", ["POST /v1/ethsign/accounts/lit/sign-digest"]),
    ],
)
def test_what_is_asked_of_the_signer(
    bao: Bao, signing: Signing, at: Callable[..., LitHook], kind: str, asked: list[str]
) -> None:
    at(kind).get_wallet().sign(TEXT)
    names = {"key": signing.key.public_key.to_hex(), "address": bao.wallet.address}
    assert [f"{method} {path}" for method, path, _ in signing.seen] == [
        line.format(**names) for line in asked
    ]


@pytest.mark.parametrize("kind", ["vault-ethereum", "ethsign"])
def test_an_engine_tells_the_address_if_none_is_expected(
    bao: Bao, signing: Signing, at: Callable[..., LitHook], kind: str
) -> None:
    wallet = at(kind, wallet_address="").get_wallet()
    assert wallet.address == bao.wallet.address
    assert [method for method, _, _ in signing.seen] == ["GET"]
    assert recover(TEXT, wallet.sign(TEXT)) == wallet.address


@pytest.mark.parametrize("kind", ["web3signer", "eth_sign"])
def test_which_wallet(bao: Bao, signing: Signing, at: Callable[..., LitHook], kind: str) -> None:
    other = Wallet.from_key(OTHER)
    assert at(kind, wallet_address=other.address.lower()).get_wallet().sign(TEXT) == other.sign(TEXT)
    with pytest.raises(SettingsError, match="holds 2 wallets") as several:
        at(kind, wallet_address="").get_wallet()
    assert several.value.field == "wallet_address"
    with pytest.raises(SignerDeniedError, match="does not hold") as absent:
        at(kind, wallet_address="0x" + "12" * 20).get_wallet()
    assert "wallet_address" in absent.value.hint
    del signing.keys[1]
    assert at(kind, wallet_address="").get_wallet().address == bao.wallet.address


def changed(signature: str, **parts: int) -> str:
    raw = bytes.fromhex(signature.removeprefix("0x"))
    s = parts.get("s", int.from_bytes(raw[32:64], "big"))
    return "0x" + (raw[:32] + s.to_bytes(32, "big") + bytes([parts.get("v", raw[64])])).hex()


def other_v(signature: str) -> int:
    v = bytes.fromhex(signature.removeprefix("0x"))[64]
    return v ^ 1 if v < 27 else 55 - v


def other_s(signature: str) -> str:
    """The same signature with the other of its two s, as signers return it that know nothing of EIP-2."""
    s = int.from_bytes(bytes.fromhex(signature.removeprefix("0x"))[32:64], "big")
    return changed(signature, s=CURVE_ORDER - s, v=other_v(signature))


FORMS: dict[str, Callable[[str], str]] = {
    "without 0x": lambda signature: signature.removeprefix("0x"),
    "upper case": lambda signature: "0x" + signature[2:].upper(),
    "with a line's end": lambda signature: signature + "\n",
    "v from 0": lambda signature: changed(signature, v=bytes.fromhex(signature[2:])[64] % 27),
    "v from 27": lambda signature: changed(signature, v=27 + bytes.fromhex(signature[2:])[64] % 27),
    "the high s": other_s,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["web3signer", "vault-ethereum"])
def test_forms_of_a_good_signature(
    bao: Bao, signing: Signing, at: Callable[..., LitHook], kind: str, form: str
) -> None:
    signing.altered = FORMS[form]
    assert at(kind).get_wallet().sign(TEXT) == bao.wallet.sign(TEXT)


NONSENSE: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "words": lambda _: "signed, yours",
    "cut short": lambda signature: signature[:-2],
    "too long": lambda signature: signature + "00",
    "odd v": lambda signature: changed(signature, v=37),
    "s of 0": lambda signature: changed(signature, s=0),
    "s beyond the order": lambda signature: changed(signature, s=2**256 - 1),
    "all zero": lambda _: "0x" + "00" * 65,
    "all ones": lambda _: "0x" + "ff" * 64 + "1b",
    "the other v": lambda signature: changed(signature, v=other_v(signature)),
    "another text": lambda _: Wallet.from_key(OTHER).sign("another text"),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("kind", ["web3signer", "eth_sign", "vault-ethereum"])
def test_what_is_not_the_wallets_signature_is_refused(
    signing: Signing, at: Callable[..., LitHook], kind: str, nonsense: str
) -> None:
    given: list[str] = []

    def alter(signature: str) -> str:
        given.append(NONSENSE[nonsense](signature))
        return given[-1]

    signing.altered = alter
    wallet = at(kind).get_wallet()
    with pytest.raises(SignatureError) as caught:
        wallet.sign(TEXT)
    assert not caught.value.retryable
    assert caught.value.hint
    assert str(signing.port) in str(caught.value) or "vault_signing" in str(caught.value)
    assert len(given[-1]) < 100 or given[-1][2:66] not in told(caught.value)


@pytest.mark.parametrize("kind", ["web3signer", "eth_sign", "vault-ethereum", "quorum", "ethsign"])
def test_a_signer_with_another_key_is_found_out(
    signing: Signing, at: Callable[..., LitHook], kind: str, bao: Bao
) -> None:
    """Each kind: it still says that the wallet is its own."""
    wallet = at(kind).get_wallet()
    signing.altered = lambda _: Wallet.from_key(OTHER).sign(TEXT)
    with pytest.raises(SignatureError, match=bao.wallet.address):
        wallet.sign(TEXT)


@pytest.mark.parametrize(
    ("kind", "takes"), [("vault-ethereum", "digest"), ("ethsign", "data"), ("ethsign", "message")]
)
def test_an_engine_that_takes_something_else(at: Callable[..., LitHook], kind: str, takes: str) -> None:
    """Among them Kaleido's own ``sign``, which makes a transaction of whatever it is given."""
    with pytest.raises(LitError) as caught:
        at(kind, signer_takes=takes).get_wallet().sign(TEXT)
    assert isinstance(caught.value, SignatureError | VaultDeniedError | VaultUnavailableError)


@pytest.mark.parametrize("kind", ["web3signer", "eth_sign"])
def test_a_signer_that_is_down(at: Callable[..., LitHook], kind: str) -> None:
    port, key = free_port(), "k3y-0f-the-cust0mer"
    with pytest.raises(SignerUnavailableError) as caught:
        at(kind, signer_url=f"http://127.0.0.1:{port}/{key}", timeout_s=2).get_wallet()
    assert caught.value.retryable
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert key not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", ["web3signer", "eth_sign"])
def test_a_signer_that_is_slow(signing: Signing, at: Callable[..., LitHook], kind: str) -> None:
    wallet = at(kind, timeout_s=1).get_wallet()
    signing.slow = True
    with pytest.raises(SignerUnavailableError, match="in time") as caught:
        wallet.sign(TEXT)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("status", "kind_of_error"),
    [
        (400, SignerDeniedError),
        (403, SignerDeniedError),
        (404, SignerDeniedError),
        (500, SignerUnavailableError),
    ],
)
def test_a_signer_that_refuses(
    signing: Signing, at: Callable[..., LitHook], status: int, kind_of_error: type[LitError]
) -> None:
    wallet = at("web3signer").get_wallet()
    signing.refusing = status
    with pytest.raises(kind_of_error, match=str(status)) as caught:
        wallet.sign(TEXT)
    assert caught.value.retryable == (status == 500)


def test_a_json_rpc_server_that_is_no_signer(bao: Bao, connections: Connections) -> None:
    """The devnet's chain answers JSON-RPC, and knows no accounts."""
    url = connections.net.description["rpc_url"]
    for kind in ("web3signer", "eth_sign"):
        connections.lit("lit_signing", signer=kind, signer_url=url, timeout_s=5)
        with pytest.raises(SignerDeniedError):
            LitHook("lit_signing").get_wallet()


def test_a_role_that_may_not_use_the_engine(signing: Signing, at: Callable[..., LitHook], bao: Bao) -> None:
    hook = at("vault-ethereum", vault_conn_id="vault_consumer")
    with pytest.raises(VaultDeniedError, match="ethereum/accounts/lit/sign") as caught:
        hook.get_wallet().sign(TEXT)
    assert not caught.value.retryable


def test_a_token_that_ended_costs_the_engine_one_more_login(bao: Bao, at: Callable[..., LitHook]) -> None:
    hook = at("vault-ethereum")
    wallet = hook.get_wallet()
    wallet.sign(TEXT)
    bao.revoke_logins()
    with bao.watched() as paths:
        assert wallet.sign(TEXT) == bao.wallet.sign(TEXT)
    assert paths.count(LOGIN) == 1


def test_an_engine_that_fails_is_worth_a_retry(signing: Signing, at: Callable[..., LitHook]) -> None:
    wallet = at("vault-ethereum").get_wallet()
    signing.refusing = 500
    with pytest.raises(VaultUnavailableError, match="ethereum/accounts/lit/sign") as caught:
        wallet.sign(TEXT)
    assert caught.value.retryable


def test_an_account_that_is_not_there(signing: Signing, at: Callable[..., LitHook]) -> None:
    for address in ("", "0x" + "34" * 20):
        path = "quorum/ethereum/accounts/0x" + "34" * 20
        with pytest.raises(SecretNotFoundError, match=path):
            at("quorum", vault_path=path, wallet_address=address).get_wallet().sign(TEXT)


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"signer": "clef"}, "signer"),
        ({"signer": "web3signer", "signer_url": ""}, "signer_url"),
        ({"signer": "eth_sign", "signer_url": "ftp://127.0.0.1/a-key"}, "signer_url"),
        ({"signer": "vault", "signer_takes": "letters"}, "signer_takes"),
        ({"wallet_address": "0x12"}, "wallet_address"),
    ],
)
def test_a_connection_that_cannot_be_right(
    at: Callable[..., LitHook], extra: dict[str, object], field: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        at("vault-ethereum", **extra).get_wallet()
    assert caught.value.field == field
    assert "a-key" not in str(caught.value)


def test_the_test_button_has_the_signer_sign(signing: Signing, at: Callable[..., LitHook], bao: Bao) -> None:
    good, text = at("web3signer").test_connection()
    assert good, text
    assert bao.wallet.address in text
    signing.altered = lambda _: Wallet.from_key(OTHER).sign(TEXT)
    good, text = at("web3signer").test_connection()
    assert not good
    assert "did not sign" in text


def test_the_doctor_has_it_sign_too(signing: Signing, at: Callable[..., LitHook], bao: Bao) -> None:
    for kind, name in (("web3signer", "web3signer"), ("vault-ethereum", "vault")):
        [found] = [finding for finding in examine(at(kind)) if finding.name == "signer"]
        assert (found.verdict, found.found) == (Verdict.GOOD, f"{name} signs for {bao.wallet.address}")
    signing.refusing = 403
    [found] = [finding for finding in examine(at("web3signer")) if finding.name == "signer"]
    assert found.verdict is Verdict.BAD
    assert found.advice
    fernet = {"seal": "fernet", "seal_secret": Fernet.generate_key().decode()}
    [login] = [finding for finding in examine(at("eth_sign", **fernet)) if finding.name == "vault login"]
    assert login.verdict is Verdict.NOTE


def test_tls_with_a_private_root_and_a_certificate_of_ours(
    bao: Bao, connections: Connections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Authority.new(tmp_path / "ours"), Authority.new(tmp_path / "theirs")
    with signing_server(bao.key.reveal(), certificate=ours.issue("signer"), clients=ours.bundle) as signing:

        def wallet(certificate: Path | None) -> str:
            connections.lit(
                "lit_signing",
                signer="web3signer",
                signer_url=f"https://127.0.0.1:{signing.port}",
                signer_certificate=str(certificate or ""),
                timeout_s=5,
            )
            return LitHook("lit_signing").get_wallet().sign(TEXT)

        client = ours.issue("client")
        with pytest.raises(SignerUnavailableError, match="TLS"):  # nobody knows this root
            wallet(client)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours.bundle))
        assert wallet(client) == bao.wallet.sign(TEXT)
        for stranger in (None, theirs.issue("stranger")):
            with pytest.raises(SignerUnavailableError):
                wallet(stranger)
        with pytest.raises(SettingsError) as caught:
            wallet(tmp_path / "nowhere.pem")
        assert caught.value.field == "signer_certificate"


def test_no_repr_shows_what_is_asked(at: Callable[..., LitHook], bao: Bao) -> None:
    shown = repr(at("eth_sign").get_wallet())
    assert bao.wallet.address in shown
    assert not [form for form in forms(bao.key.reveal()) if form in shown.encode()]
    assert "ask" not in shown


def test_what_engines_take_is_what_the_connection_offers() -> None:
    assert tuple(ENGINES) == SIGNER_TAKES


def test_the_prefix_counts_bytes_not_characters() -> None:
    assert prefixed("naïve → 5").startswith(b"\x19Ethereum Signed Message:\n12na")
    assert len("naïve → 5") == 9
