"""What is committed names packages and hashes, and no place to get them from."""

from __future__ import annotations

import json
import re

from tests.interop.packages import HERE, wanted


def test_the_lock_has_hashes_and_no_address() -> None:
    text = (HERE / "package-lock.json").read_text()
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert "://" not in text
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["integrity"]) for entry in packages.values())


def test_the_lock_is_that_of_the_named_versions() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert lock[""]["dependencies"] == wanted()
    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted()} == wanted()


def test_no_script_of_a_package_runs() -> None:
    settings = (HERE / ".npmrc").read_text().split()
    assert {"ignore-scripts=true", "omit-lockfile-registry-resolved=true", "audit=false"} <= set(settings)
