"""Files moved from one network to another, and out of recovery copies, with the command line."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lit_airflow import Conditions, LitClient, Scope, Wallet, envelope
from lit_airflow.cli import app
from lit_airflow.devnet import Devnet
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.envelope import SEGMENT_BYTES
from lit_airflow.errors import SettingsError
from lit_airflow.keys.hpke import generate_secret_key, public_key_of
from lit_airflow.provider.file_io import relative_output_paths
from tests.devnet_chipotle.warm_engine import WarmEngine
from tests.invoking import CliRunner

WALLET = Wallet.from_key("11" * 32)
OURS = Conditions.for_wallet(WALLET.address)
SMALL, LARGE = b"what only the wallet may read", os.urandom(2 * SEGMENT_BYTES + 17)
RECOVERY_SECRET = generate_secret_key()
RECOVERY = {"recovery_key": public_key_of(RECOVERY_SECRET)}
KEY_ENV = "RECOVERY_SECRET"


@pytest.fixture(scope="module")
def datil() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as net:
        yield net


@pytest.fixture(scope="module")
def chipotle(warm: WarmEngine) -> Iterator[Chipotle]:
    with Chipotle() as net:
        yield warm.serve(net)


@dataclass(frozen=True)
class Move:
    """Two networks and three folders."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    folder: Path

    def client(self, network: Mapping[str, Any], **changes: object) -> LitClient:
        return LitClient({**network, **changes}, timeout_s=60)

    def write(self, name: str, contents: bytes, *, conditions: Conditions = OURS) -> Path:
        """Encrypt on the old network: an envelope if the name ends in ``.lit``, else a container."""
        path = self.folder / "old" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lit = self.client(self.old)
        if name.endswith(".lit"):
            lit.encrypt_file(io.BytesIO(contents), path, conditions)
        else:
            path.write_text(json.dumps(lit.make_container(contents, conditions)))
        return path

    def convert(self, *files: str, **options: str) -> Result:
        """Run the command with a session for everything."""
        opened = self.client(self.old).open_session(WALLET, Scope.to_decrypt("*"))
        sigs: Any = dict(opened.session_sigs)
        if self.client(self.old).traits.answers_to_session_key:
            secret = opened.to_json()["seed"] + opened.public_key
            pair = {"publicKey": opened.public_key, "secretKey": secret}
            sigs = {"sessionSigs": sigs, "sessionKey": pair}
        given = {"from": self.old, "to": self.new, "session": sigs}
        for name, value in given.items():
            (self.folder / f"{name}.json").write_text(json.dumps(value))
        return invoke(
            "convert",
            *(files or (f"{self.folder}/old/**/*.lit*",)),
            **{
                **{name: f"{self.folder}/{name}.json" for name in given},
                "output-dir": f"{self.folder}/new",
                **options,
            },
        )

    def read(self, name: str) -> bytes:
        """Decrypt an output on the new network, with a session for it alone."""
        path, target = self.folder / "new" / name, io.BytesIO()
        lit = self.client(self.new)
        with path.open("rb") as source:
            head = envelope.read_head(source)
        container = head.container if head else json.loads(path.read_text())
        session = lit.open_session(WALLET, lit.scope_of(container, container))
        if head is None:
            return lit.decrypt(container, container, session)
        lit.decrypt_file(path, target, session)
        return target.getvalue()


@pytest.fixture(params=["datil to chipotle", "chipotle to datil"])
def move(request: pytest.FixtureRequest, datil: Devnet, chipotle: Chipotle, tmp_path: Path) -> Move:
    networks: list[Any] = [datil.description, chipotle.description]
    if request.param == "chipotle to datil":
        networks.reverse()
    return Move(networks[0], networks[1], tmp_path)


@pytest.fixture
def to_chipotle(datil: Devnet, chipotle: Chipotle, tmp_path: Path) -> Move:
    old: Any = datil.description
    new: Any = chipotle.description
    return Move(old, new, tmp_path)


def invoke(command: str, *arguments: str, **options: str) -> Result:
    given = (part for name, value in options.items() for part in (f"--{name}", value))
    environment = {KEY_ENV: RECOVERY_SECRET.reveal().hex(), "NO_COLOR": "1", "COLUMNS": "200"}
    return CliRunner().invoke(app, [command, *arguments, *given], env=environment)


def reports(done: Result) -> dict[str, dict[str, Any]]:
    """Source file's name -> its line of the report."""
    return {Path(line["source"]).name: line for line in map(json.loads, done.stdout.splitlines())}


def outcomes(done: Result) -> dict[str, str]:
    return {name: line.get("error", line["outcome"]) for name, line in reports(done).items()}


def test_containers_and_envelopes_move(move: Move) -> None:
    sources = {move.write("one.csv.lit.json", SMALL), move.write("day=1/two.csv.lit", LARGE)}
    before = {path: path.read_bytes() for path in sources}
    done = move.convert()
    assert done.exit_code == 0, done.output
    assert outcomes(done) == {"one.csv.lit.json": "converted", "two.csv.lit": "converted"}
    assert {line["plaintextBytes"] for line in reports(done).values()} == {len(SMALL), len(LARGE)}
    assert "2 converted" in done.stderr
    assert move.read("one.csv.lit.json") == SMALL
    assert move.read("day=1/two.csv.lit") == LARGE
    assert {path: path.read_bytes() for path in sources} == before
    made = json.loads((move.folder / "new/one.csv.lit.json").read_text())
    assert Conditions.parse(made) == OURS
    assert (move.folder / "new/one.csv.lit.json").stat().st_mode & 0o777 == 0o600


def test_the_command_resumes(to_chipotle: Move, datil: Devnet) -> None:
    for name in ("a.lit.json", "b.lit", "c.lit.json"):
        to_chipotle.write(name, SMALL)
    assert to_chipotle.convert().exit_code == 0
    first = (to_chipotle.folder / "new/a.lit.json").read_bytes()
    (to_chipotle.folder / "new/b.lit").unlink()
    before = len(shares_asked_for(datil))
    done = to_chipotle.convert()
    assert outcomes(done) == {"a.lit.json": "present", "b.lit": "converted", "c.lit.json": "present"}
    assert done.exit_code == 0
    assert (to_chipotle.folder / "new/a.lit.json").read_bytes() == first
    assert 0 < len(shares_asked_for(datil)) - before <= 3
    assert to_chipotle.read("b.lit") == SMALL


def shares_asked_for(datil: Devnet) -> list[str]:
    return [path for _, path, _, _ in datil.requests if path.startswith("/web/encryption/sign")]


def test_what_has_changed_since_is_not_taken_for_done(to_chipotle: Move) -> None:
    to_chipotle.write("a.lit.json", b"of yesterday")
    assert to_chipotle.convert().exit_code == 0
    to_chipotle.write("a.lit.json", b"of today")
    done = to_chipotle.convert()
    assert (outcomes(done), done.exit_code) == ({"a.lit.json": "SettingsError"}, 1)
    assert "was not converted from" in reports(done)["a.lit.json"]["message"]
    assert to_chipotle.read("a.lit.json") == b"of yesterday"


def test_a_file_that_fails_costs_the_others_nothing(to_chipotle: Move) -> None:
    old, new = to_chipotle.folder / "old", to_chipotle.folder / "new"
    to_chipotle.write("good.lit.json", SMALL)
    cut = to_chipotle.write("cut.lit", LARGE)
    cut.write_bytes(cut.read_bytes()[:-1])
    stranger = Conditions.for_wallet(Wallet.from_key("22" * 32).address)
    to_chipotle.write("theirs.lit.json", SMALL, conditions=stranger)
    (old / "text.lit.json").write_text("no JSON")
    elsewhere = json.loads((old / "good.lit.json").read_text()) | {"network": "datil"}
    (old / "elsewhere.lit.json").write_text(json.dumps(elsewhere))
    bare = {name: elsewhere[name] for name in ("ciphertext", "dataToEncryptHash")}
    (old / "bare.lit.json").write_text(json.dumps(bare))
    to_chipotle.write("taken.lit.json", SMALL)
    new.mkdir()
    (new / "taken.lit.json").write_text("{}")
    done = to_chipotle.convert(f"{old}/*.lit*", f"{old}/missing.lit")
    assert done.exit_code == 1
    assert outcomes(done) == {
        "good.lit.json": "converted",
        "cut.lit": "CiphertextError",
        "theirs.lit.json": "ConditionsNotMetError",
        "text.lit.json": "SettingsError",
        "elsewhere.lit.json": "CiphertextError",
        "bare.lit.json": "ConditionError",
        "taken.lit.json": "SettingsError",
        "missing.lit": "SettingsError",
    }
    assert sorted(path.name for path in new.iterdir()) == ["good.lit.json", "taken.lit.json"]
    assert (new / "taken.lit.json").read_text() == "{}"
    assert "7 failed" in done.stderr


def test_conditions_that_the_new_network_cannot_judge_are_not_decrypted(
    to_chipotle: Move, datil: Devnet
) -> None:
    read = {
        "contractAddress": "",
        "standardContractType": "",
        "chain": "ethereum",
        "method": "eth_getBalance",
        "parameters": [":userAddress", "latest"],
        "returnValueTest": {"comparator": ">=", "value": "0"},
    }
    conditions = Conditions.parse({"chain": "ethereum", "accessControlConditions": [read]})
    to_chipotle.write("a.lit.json", SMALL, conditions=conditions)
    before = len(shares_asked_for(datil))
    done = to_chipotle.convert()
    assert (outcomes(done), done.exit_code) == ({"a.lit.json": "ConditionError"}, 1)
    assert len(shares_asked_for(datil)) == before


def test_conditions_in_a_file_of_their_own(to_chipotle: Move) -> None:
    path = to_chipotle.write("a.lit.json", SMALL)
    container = json.loads(path.read_text())
    path.write_text(json.dumps({name: container[name] for name in ("ciphertext", "dataToEncryptHash")}))
    (to_chipotle.folder / "conditions.json").write_text(json.dumps(OURS.to_json()))
    done = to_chipotle.convert(conditions=f"{to_chipotle.folder}/conditions.json")
    assert done.exit_code == 0, done.output
    assert to_chipotle.read("a.lit.json") == SMALL


def test_what_is_too_long_for_a_container_there_becomes_an_envelope(to_chipotle: Move) -> None:
    contents = os.urandom(200_000)
    to_chipotle.write("a.lit.json", contents)
    assert to_chipotle.convert().exit_code == 0
    assert (to_chipotle.folder / "new/a.lit.json").read_bytes().startswith(envelope.MAGIC)
    assert to_chipotle.read("a.lit.json") == contents


def test_the_hash_that_the_lock_hides_is_not_carried_over(to_chipotle: Move) -> None:
    to_chipotle.write("a.lit.json", SMALL)
    assert to_chipotle.convert().exit_code == 0
    made = (to_chipotle.folder / "new/a.lit.json").read_text()
    assert '"lock"' in made
    assert hashlib.sha256(SMALL).hexdigest() not in made


def test_a_data_key_in_a_container_is_not_moved_as_data(to_chipotle: Move) -> None:
    path = to_chipotle.write("a.lit", SMALL)
    first = path.read_bytes().split(b"\n")[0].removeprefix(envelope.MAGIC)
    path.with_name("key.lit.json").write_bytes(first)
    done = to_chipotle.convert()
    assert outcomes(done) == {"a.lit": "converted", "key.lit.json": "CiphertextError"}


def test_a_session_for_something_else_fails_each_file(to_chipotle: Move) -> None:
    to_chipotle.write("a.lit.json", SMALL)
    lit = to_chipotle.client(to_chipotle.old)
    other = lit.open_session(WALLET, Scope.to_decrypt("0" * 64 + "/" + "0" * 64))
    (to_chipotle.folder / "narrow.json").write_text(json.dumps(dict(other.session_sigs)))
    done = to_chipotle.convert(session=f"{to_chipotle.folder}/narrow.json")
    assert (outcomes(done), done.exit_code) == ({"a.lit.json": "ScopeError"}, 1)


def test_outputs_keep_the_folders_below_the_pattern(tmp_path: Path) -> None:
    for name in ("a/x.lit", "a/b/x.lit", "y.csv.lit.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = relative_output_paths([f"{tmp_path}/**/*.lit", f"{tmp_path}/y.csv.lit.json"], "/new/")
    assert list(found.values()) == ["/new/a/b/x.lit", "/new/a/x.lit", "/new/y.csv.lit.json"]
    plain = relative_output_paths([f"{tmp_path}/y.csv.lit.json"], "/new", decrypted=True)
    assert list(plain.values()) == ["/new/y.csv"]


@pytest.mark.parametrize("files", [["a.lit", "b/a.lit"], ["../new/a.lit"], ["link/a.lit"]])
def test_no_output_replaces_a_file_or_another_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str]
) -> None:
    (tmp_path / "old" / "b").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "link").symlink_to(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "old")
    with pytest.raises(SettingsError, match="would be overwritten"):
        relative_output_paths(files, tmp_path / "new")


def test_wrong_usage_is_told_from_a_failure(tmp_path: Path) -> None:
    done = invoke("recover", f"{tmp_path}/*.lit", **{"output-dir": f"{tmp_path}/out", "key-env": KEY_ENV})
    assert done.exit_code == 2
    assert "No file matches" in done.stderr


@pytest.fixture(params=["datil", "chipotle"])
def network(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.getfixturevalue(request.param).description)


def recovered(folder: Path, key_env: str = KEY_ENV) -> Result:
    options = {"output-dir": f"{folder}/out", "key-env": key_env}
    return invoke("recover", f"{folder}/*.lit*", **options)


def test_recovery_copies_open_without_a_network(network: dict[str, Any], tmp_path: Path) -> None:
    lit = LitClient({**network, **RECOVERY}, timeout_s=60)
    (tmp_path / "a.csv.lit.json").write_text(json.dumps(lit.make_container(SMALL, OURS)))
    lit.encrypt_file(io.BytesIO(LARGE), tmp_path / "b.csv.lit", OURS)
    (tmp_path / "c.lit.json").write_text(json.dumps(LitClient(network).make_container(SMALL, OURS)))
    done = recovered(tmp_path)
    assert outcomes(done) == {
        "a.csv.lit.json": "recovered",
        "b.csv.lit": "recovered",
        "c.lit.json": "CiphertextError",
    }
    assert done.exit_code == 1
    assert (tmp_path / "out/a.csv").read_bytes() == SMALL
    assert (tmp_path / "out/b.csv").read_bytes() == LARGE
    assert RECOVERY_SECRET.reveal().hex() not in done.output


def test_the_network_itself_ignores_the_copy(network: dict[str, Any]) -> None:
    lit = LitClient({**network, **RECOVERY}, timeout_s=60)
    container = lit.make_container(SMALL, OURS)
    session = lit.open_session(WALLET, lit.scope_of(container, container))
    assert lit.decrypt(container, container, session) == SMALL


def test_a_copy_of_other_data_is_refused(datil: Devnet, tmp_path: Path) -> None:
    """Anybody can seal to a recovery key."""
    from lit_airflow.protocol.recovery import recovery_copy

    described: Any = datil.description
    container = LitClient({**described, **RECOVERY}).make_container(SMALL, OURS)
    identity = OURS.identity(container["dataToEncryptHash"])
    container["recovery"] = recovery_copy(RECOVERY["recovery_key"], identity, b"of somebody else")
    (tmp_path / "a.lit.json").write_text(json.dumps(container))
    done = recovered(tmp_path)
    assert outcomes(done) == {"a.lit.json": "CiphertextError"}
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("secret", ["", "nonsense", "11" * 31, "11" * 32])
def test_a_wrong_recovery_secret_opens_nothing_and_is_not_shown(
    datil: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    described: Any = datil.description
    container = LitClient({**described, **RECOVERY}).make_container(SMALL, OURS)
    (tmp_path / "a.lit.json").write_text(json.dumps(container))
    monkeypatch.setenv("WRONG", secret)
    done = recovered(tmp_path, "WRONG")
    assert done.exit_code == 1
    assert not secret or secret not in done.output + str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["11" * 31, "00" * 32, "zz" * 32, 5])
def test_a_recovery_key_that_cannot_be(datil: Devnet, key: object) -> None:
    described: Any = datil.description
    with pytest.raises(SettingsError):
        LitClient({**described, "recovery_key": key}).make_container(SMALL, OURS)
