"""The gate's text itself: its form, what it may use, and that it is the published one."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from lit_airflow.errors import SettingsError
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.gates import NEWEST, TEMPLATES, Template, deployment_text
from tests.gate.engine import ROOT
from tests.gate.mutants import tokens

GATES = ROOT / "lit_airflow/networks/chipotle/gates"
# Published texts. A row is never changed or removed: data is sealed to keys that follow from these bytes.
PUBLISHED = {1: "68bd00c1d77fd5fcdac96eec01e3902ee7561d19200ccc69d703970f44bad9e3"}
SALT = "5a" * 32
WEB_CRYPTO = (
    "decrypt",
    "deriveBits",
    "digest",
    "encrypt",
    "exportKey",
    "generateKey",
    "importKey",
    "sign",
    "verify",
)


def test_published_templates_are_all_here_unchanged() -> None:
    assert {version: template.sha256 for version, template in TEMPLATES.items()} == PUBLISHED
    assert {int(path.stem) for path in GATES.glob("*.js")} == set(PUBLISHED)
    for version, digest in PUBLISHED.items():
        assert sha256((GATES / f"{version}.js").read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("version", PUBLISHED)
def test_form(version: int) -> None:
    content = (GATES / f"{version}.js").read_bytes()
    text = content.decode("ascii")
    assert re.fullmatch(rb"[\n\x20-\x7e]*", content)
    assert text.startswith('"use strict";\n')
    assert text.endswith("}\n")
    assert len(deployment_text(version, SALT)) < 256 * 1024
    assert len(re.findall(r"^async function main\(params\) \{$", text, re.MULTILINE)) == 1
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("version", PUBLISHED)
def test_only_the_named_parts_of_the_run_time_are_used(version: int) -> None:
    text = (GATES / f"{version}.js").read_text(encoding="ascii")
    words = {token.text for token in tokens(text) if token.kind == "word"}
    assert not words & {
        "eval",
        "Function",
        "console",
        "globalThis",
        "require",
        "setTimeout",
        "Deno",
        "process",
        "var",
    }
    used = set(re.findall(r"\b(?:Lit|ethers|crypto)\.[\w.]+", re.sub(r"//.*", "", text)))
    assert used == {
        "Lit.Actions.getLitActionPrivateKey",
        "ethers.utils.computeAddress",
        "ethers.utils.defaultAbiCoder.decode",
        "ethers.utils.defaultAbiCoder.encode",
        "ethers.utils.getAddress",
        "ethers.utils.id",
        "ethers.utils.verifyMessage",
        *(f"crypto.subtle.{name}" for name in WEB_CRYPTO),
    }


def test_a_deployment_appends_its_salt_as_a_comment() -> None:
    template = (GATES / "1.js").read_text(encoding="ascii")
    assert deployment_text(1, SALT) == f"{template}// {SALT}\n"
    assert cid_v0(deployment_text(1, SALT)) != cid_v0(deployment_text(1, "5b" * 32))


@pytest.mark.parametrize(
    "salt", ["", "5a" * 31, "5a" * 33, "5A" * 32, "5a" * 31 + "5g", "5a" * 32 + "\n", "0x" + "5a" * 31]
)
def test_another_salt_is_refused(salt: str) -> None:
    with pytest.raises(SettingsError, match="salt") as raised:
        deployment_text(1, salt)
    assert raised.value.field == "salt"
    assert not salt or salt not in str(raised.value)


@pytest.mark.parametrize("version", [0, 2, -1])
def test_an_unknown_version_is_refused(version: int) -> None:
    with pytest.raises(SettingsError, match="no gate of version"):
        deployment_text(version, SALT)


def test_an_altered_file_is_refused() -> None:
    with pytest.raises(SettingsError, match="not the published one"):
        Template(1, "00" * 32).text()


def test_the_newest_is_not_withdrawn() -> None:
    assert not TEMPLATES[NEWEST].withdrawn


def test_git_converts_no_line_ends() -> None:
    rules = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert f"{GATES.relative_to(ROOT)}/*.js -text" in rules


def test_the_documentation_shows_the_published_hash() -> None:
    page = (Path(ROOT) / "docs/gate.md").read_text(encoding="utf-8")
    for digest in PUBLISHED.values():
        assert digest in page


@pytest.mark.parametrize(
    ("text", "cid"),
    [
        ("hello world", "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"),
        (
            "async function main(p) { return { n: 13484526 } }",
            "QmYMHSxfaUZQ3yzNS2haWgV6S5imadQfaeYEadab6KpYmn",
        ),
        ("7" * 262_143, "QmSytv2SDpPijfpLe7iFem91VkRMEcKDWK7GW2dKUfLyVw"),
        ("q" * 262_144, "QmW1WDCbVN4gk3UgthqFuJH5Jj7Li1curgQJeeGFhGibRK"),
        ("7" * 262_145, "QmUEydWc9T4bougi5Wzsau7YvEoNPEevv53tM3dHx59Zec"),
        ("xyz" * 500_001, "QmaYuYVofzKnLXE3R2zTj1ARdq3UEJNhoWZ7RtJBjqwDEz"),
    ],
    ids=["example", "action", "a byte under the chunk", "one chunk", "a byte over", "six chunks"],
)
def test_cid(text: str, cid: str) -> None:
    assert cid_v0(text) == cid
