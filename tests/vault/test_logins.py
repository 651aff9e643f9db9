"""Ways to log in at a real server, each as a connection of type vault says it."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lit_airflow import Scope
from lit_airflow.errors import SecretNotFoundError, VaultDeniedError, VaultUnavailableError
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH, POLICIES, AppRole
from tests.vault.certificates import Authority, serving
from tests.vault.parts import TOKEN, Bao, Connections, TlsBao, running_bao, told

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)


@dataclass
class Issuer:
    """Whoever vouches for workloads: signs tokens, and reviews them as a Kubernetes API server does."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    port: int = 0
    root: str = ""

    @property
    def public_key(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, account: str, **claims: object) -> str:
        now = int(time.time())
        return jwt.encode(
            {
                "iss": "https://issuer.example.org",
                "aud": ["vault"],
                "sub": f"system:serviceaccount:airflow:{account}",
                "iat": now,
                "nbf": now - 5,
                "exp": now + 600,
                "kubernetes.io": {
                    "namespace": "airflow",
                    "serviceaccount": {"name": account, "uid": f"uid-of-{account}"},
                },
                **claims,
            },
            self.key,
            algorithm="ES256",
        )

    def review(self, token: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, self.public_key, algorithms=["ES256"], audience="vault")
        except jwt.InvalidTokenError as error:
            return {"authenticated": False, "error": str(error)}
        account = claims["kubernetes.io"]["serviceaccount"]
        return {
            "authenticated": True,
            "user": {"username": claims["sub"], "uid": account["uid"], "groups": []},
            "audiences": claims["aud"],
        }


class Reviewer(BaseHTTPRequestHandler):
    """``POST /apis/authentication.k8s.io/v1/tokenreviews``."""

    issuer: ClassVar[Issuer]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/apis/authentication.k8s.io/v1/tokenreviews"
        answer = json.dumps({**asked, "status": self.issuer.review(asked["spec"]["token"])}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    authority = Authority.new(tmp_path_factory.mktemp("kubernetes"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reviewer)
    server.socket = serving(authority.issue("kubernetes")).wrap_socket(server.socket, server_side=True)
    issuer = Issuer(port=server.server_address[1], root=authority.bundle.read_text())
    Reviewer.issuer = issuer
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield issuer
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def methods(bao: Bao, issuer: Issuer) -> Bao:
    """The server, with each way to log in and the renewer's policy behind it."""
    admin = bao.admin
    for kind in ("userpass", "jwt", "kubernetes"):
        admin.sys.enable_auth_method(kind, path=f"by-{kind}")
    admin.write_data(
        "auth/by-userpass/users/airflow", data={"password": "p4ssw0rd-1", "token_policies": "lit-renewer"}
    )
    admin.write_data("auth/by-jwt/config", data={"jwt_validation_pubkeys": [issuer.public_key]})
    admin.write_data(
        "auth/by-jwt/role/renewer",
        data={
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["vault"],
            "bound_subject": "system:serviceaccount:airflow:renewer",
            "token_policies": "lit-renewer",
        },
    )
    admin.write_data(
        "auth/by-kubernetes/config",
        data={
            "kubernetes_host": f"https://127.0.0.1:{issuer.port}",
            "kubernetes_ca_cert": issuer.root,
            "disable_local_ca_jwt": True,
            "token_reviewer_jwt": issuer.token("vault"),
        },
    )
    admin.write_data(
        "auth/by-kubernetes/role/renewer",
        data={
            "bound_service_account_names": "renewer",
            "bound_service_account_namespaces": "airflow",
            "audience": "vault",
            "token_policies": "lit-renewer",
        },
    )
    return bao


def test_the_roles_of_the_page(bao: Bao, connections: Connections) -> None:
    """Short batch tokens and secret ids that expire do all that the roles are for."""
    page = (Path(__file__).parents[2] / "docs" / "vault.md").read_text().replace("\\\n", "")
    for name in ("lit-renewer", "lit-consumer"):
        [options] = re.findall(rf"^bao write auth/approle/role/{name} (.*)$", page, re.MULTILINE)
        facts = dict(option.split("=") for option in options.split())
        assert facts.pop("token_policies") == name
        who = name.removeprefix("lit-")
        connections.vault(f"vault_{who}", bao.port, bao.role(f"page-{who}", POLICIES[name], **facts))
        asked = bao.admin.auth.approle.read_role(f"page-{who}")["data"]
        assert (asked["token_type"], asked["token_ttl"]) == ("batch", 300)
        assert asked["secret_id_ttl"] == 90 * 24 * 3600
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    ticket = renewer.make_ticket(renewer.open_session(SCOPE))
    assert consumer.open_ticket(ticket).wallet == bao.wallet.address


@dataclass
class Way:
    """One way to log in: the connection's fields, and those of somebody who must not get in.

    Attributes:
        login: The connection's login.
        password: Its password.
        extra: Its extra.
        bad: What of it is changed for a stranger.
    """

    login: str = ""
    password: str = ""
    extra: dict[str, object] = field(default_factory=dict)
    bad: dict[str, object] = field(default_factory=dict)


def ways(bao: Bao, issuer: Issuer, folder: Path) -> dict[str, Way]:
    good, bad = folder / "token", folder / "stranger's"
    good.write_text(issuer.token("renewer") + "\n")
    bad.write_text(issuer.token("scheduler") + "\n")
    kubernetes = {
        "auth_type": "kubernetes",
        "auth_mount_point": "by-kubernetes",
        "kubernetes_role": "renewer",
    }
    by_jwt = {"auth_type": "jwt", "auth_mount_point": "by-jwt", "jwt_role": "renewer"}
    return {
        "approle": Way(bao.renewer.role_id, bao.renewer.secret_id.reveal().decode(), {}, {"password": "x"}),
        "token": Way(
            "",
            bao.admin.auth.token.create(policies=["lit-renewer"], ttl="10m")["auth"]["client_token"],
            {"auth_type": "token"},
            {"password": "s.0000000000000000000000"},
        ),
        "userpass": Way(
            "airflow",
            "p4ssw0rd-1",
            {"auth_type": "userpass", "auth_mount_point": "by-userpass"},
            {"password": "p4ssw0rd-2"},
        ),
        "jwt": Way(extra={**by_jwt, "jwt_token": good.read_text()}, bad={"jwt_token": bad.read_text()}),
        "jwt in a file": Way(extra={**by_jwt, "jwt_token_path": str(good)}, bad={"jwt_token_path": str(bad)}),
        "another's jwt": Way(
            extra={**by_jwt, "jwt_token": good.read_text()}, bad={"jwt_token": Issuer().token("renewer")}
        ),
        "kubernetes": Way(
            extra={**kubernetes, "kubernetes_jwt_path": str(good)}, bad={"kubernetes_jwt_path": str(bad)}
        ),
        "no file": Way(
            extra={**kubernetes, "kubernetes_jwt_path": str(good)},
            bad={"kubernetes_jwt_path": str(folder / "nowhere")},
        ),
    }


WAYS = ("approle", "token", "userpass", "jwt", "jwt in a file", "another's jwt", "kubernetes", "no file")


@pytest.mark.parametrize("way", WAYS)
def test_a_renewer_who_logs_in_another_way(
    methods: Bao, issuer: Issuer, connections: Connections, tmp_path: Path, way: str
) -> None:
    chosen = ways(methods, issuer, tmp_path)[way]
    role = AppRole(way, chosen.login, Secret(chosen.password.encode()))
    connections.vault("vault_renewer", methods.port, role, **chosen.extra)
    hook = LitHook("lit_renewer")
    ticket = hook.make_ticket(hook.open_session(SCOPE))
    assert LitHook("lit_consumer").open_ticket(ticket).wallet == methods.wallet.address


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_does_not(
    methods: Bao, issuer: Issuer, connections: Connections, tmp_path: Path, way: str
) -> None:
    chosen = ways(methods, issuer, tmp_path)[way]
    changed = dict(chosen.bad)
    password = str(changed.pop("password", chosen.password))
    role = AppRole(way, chosen.login, Secret(password.encode()))
    connections.vault("vault_renewer", methods.port, role, **{**chosen.extra, **changed})
    with pytest.raises(VaultDeniedError, match="vault_renewer") as caught:
        LitHook("lit_renewer").get_wallet()
    assert not caught.value.retryable
    assert caught.value.hint
    if len(password) > 5:
        assert password not in told(caught.value)
    assert not TOKEN.search(told(caught.value).encode())


def test_a_namespace(bao: Bao, connections: Connections) -> None:
    """A whole set-up of its own, in a namespace that only the connections know."""
    bao.admin.adapter.post("/v1/sys/namespaces/team", json={})
    admin = type(bao.admin)(url=bao.address, token=bao.admin.token, namespace="team")
    admin.sys.enable_secrets_engine("transit")
    admin.secrets.transit.create_key("lit-sessions")
    admin.sys.enable_secrets_engine("kv", path=KV_MOUNT, options={"version": "1"})
    admin.secrets.kv.v1.create_or_update_secret(
        KV_PATH, {"private_key": bao.key.reveal().hex()}, mount_point=KV_MOUNT
    )
    admin.sys.enable_auth_method("approle")
    policy = POLICIES["lit-renewer"].replace(f"{KV_MOUNT}/data/", f"{KV_MOUNT}/")
    admin.sys.create_or_update_policy("lit-renewer", policy)
    admin.auth.approle.create_or_update_approle("r", token_policies=["lit-renewer"])
    secret_id = admin.auth.approle.generate_secret_id("r")["data"]["secret_id"]
    role = AppRole("r", admin.auth.approle.read_role_id("r")["data"]["role_id"], Secret(secret_id.encode()))

    inside: dict[str, object] = {"client_kwargs": {"namespace": "team"}, "kv_engine_version": 1}
    connections.vault("vault_renewer", bao.port, role, **inside)
    hook = LitHook("lit_renewer")
    ticket = hook.make_ticket(hook.open_session(SCOPE))
    assert LitHook("lit_renewer").open_ticket(ticket).wallet == bao.wallet.address

    connections.vault("vault_renewer", bao.port, role, kv_engine_version=1)  # the root's has no such role
    with pytest.raises(VaultDeniedError):
        LitHook("lit_renewer").get_wallet()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsBao]:
    with running_bao(tmp_path_factory.mktemp("guarded"), TlsBao) as bao:
        yield bao


def test_tls_with_a_private_root(guarded: TlsBao, connections: Connections) -> None:
    trusting = {"use_tls": True, "client_kwargs": {"verify": str(guarded.authority.bundle)}}
    connections.renewer(guarded, **trusting)
    hook = LitHook("lit_renewer")
    ticket = hook.make_ticket(hook.open_session(SCOPE))
    connections.vault("vault_consumer", guarded.port, guarded.consumer, **trusting)
    assert LitHook("lit_consumer").open_ticket(ticket).wallet == guarded.wallet.address


@pytest.mark.parametrize(
    ("extra", "kind", "told_of"),
    [
        (lambda _: {"use_tls": True}, VaultUnavailableError, "TLS handshake with Vault"),
        (
            lambda b: {"use_tls": True, "client_kwargs": {"verify": str(b.authority.issue("x"))}},
            VaultUnavailableError,
            "TLS handshake with Vault",
        ),
        (
            lambda b: {"use_tls": True, "client_kwargs": {"verify": str(b.authority.folder / "no")}},
            VaultDeniedError,
            "file",
        ),
        (lambda _: {"use_tls": False}, VaultUnavailableError, "expects TLS"),
    ],
    ids=["nobody's root", "another root", "no file", "without TLS"],
)
def test_tls_that_fails(  # noqa: PLR0917 - fixtures
    guarded: TlsBao,
    connections: Connections,
    extra: Callable[[TlsBao], dict[str, object]],
    kind: type[Exception],
    told_of: str,
    tally: Counter[tuple[str, str]],
) -> None:
    connections.vault("vault_renewer", guarded.port, guarded.renewer, **extra(guarded))
    with pytest.raises(kind, match=told_of) as caught:
        LitHook("lit_renewer").get_wallet()
    assert "vault_renewer" in str(caught.value)
    assert guarded.renewer.secret_id.reveal().decode() not in told(caught.value)
    tally["Vault: TLS that fails", kind.__name__] += 1


def test_tls_where_there_is_none(bao: Bao, connections: Connections) -> None:
    connections.vault("vault_renewer", bao.port, bao.renewer, use_tls=True)
    with pytest.raises(VaultUnavailableError, match="TLS handshake with Vault"):
        LitHook("lit_renewer").get_wallet()


def test_the_kv_version_must_be_the_right_one(bao: Bao, connections: Connections) -> None:
    connections.vault(
        "vault_renewer",
        bao.port,
        bao.role("any", 'path "secret/*" { capabilities = ["read"] }'),
        kv_engine_version=1,
    )
    with pytest.raises(SecretNotFoundError, match="KV version"):
        LitHook("lit_renewer").get_wallet()
