"""What a ReCap grants, and how it must be written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from tests.gate.building import (
    GRANT_ALL,
    PREFIX,
    RECAP_SENTENCE,
    Container,
    Session,
    canonical,
    recap_statement,
    recap_text,
)
from tests.gate.rules.cases import NO_CAPABILITY, OPENS, Case, decrypt, stated


def cases() -> Iterator[Case]:
    wildcard, exact = f"{PREFIX}://*", f"{PREFIX}://{Container().id}"
    free = [{}]
    for name, att, expected in (
        ("*/* on the wildcard", {wildcard: {"*/*": free}}, OPENS),
        ("*/* on the id", {exact: {"*/*": free}}, OPENS),
        (
            "several abilities and namespaces",
            {
                wildcard: {
                    "0a9/b0": [],
                    "A-B/x": [],
                    "A/y": [{"a": 1}],
                    "Threshold/Decryption": free,
                    "Threshold/Signing": free,
                },
                "lit-pkp://*": {"Threshold/Signing": free},
            },
            OPENS,
        ),
        ("an empty object beside a restriction", {wildcard: {"Threshold/Decryption": [{"a": 1}, {}]}}, OPENS),
        ("no grants", {}, NO_CAPABILITY),
        ("no abilities", {wildcard: {}}, NO_CAPABILITY),
        ("no restriction list's element", {wildcard: {"Threshold/Decryption": []}}, NO_CAPABILITY),
        ("restricted", {wildcard: {"Threshold/Decryption": [{"a": 1}]}}, NO_CAPABILITY),
        ("restricted in __proto__", {wildcard: {"Threshold/Decryption": [{"__proto__": {}}]}}, NO_CAPABILITY),
        ("*/* restricted", {exact: {"*/*": [{"a": 1}]}}, NO_CAPABILITY),
        ("signing", {wildcard: {"Threshold/Signing": free}}, NO_CAPABILITY),
        ("all of Threshold", {wildcard: {"Threshold/*": free}}, NO_CAPABILITY),
        ("upper case", {wildcard: {"THRESHOLD/DECRYPTION": free}}, NO_CAPABILITY),
        (
            "wildcard hides the exact entry",
            {wildcard: {"Threshold/Signing": free}, exact: {"*/*": free}},
            NO_CAPABILITY,
        ),
        ("exact entry of another", {f"{PREFIX}://x": {"*/*": free}}, NO_CAPABILITY),
        ("id without the prefix", {Container().id: {"*/*": free}}, NO_CAPABILITY),
        ("another prefix's wildcard", {"lit-pkp://*": {"*/*": free}}, NO_CAPABILITY),
        ("constructor", {"constructor": {"*/*": free}}, NO_CAPABILITY),
        ("__proto__", {"__proto__": {"*/*": free}}, NO_CAPABILITY),
    ):
        yield decrypt(f"ReCap grants {name}", expected, session=Session().with_delegation(att=att))
    yield from _recap_texts()


def _recap_texts() -> Iterator[Case]:
    good = {"att": GRANT_ALL, "prf": []}
    ability = "Threshold/Decryption"

    def refused(
        name: str, text: str | bytes, *, encoded: str | None = None, statement: str | None = None
    ) -> Case:
        raw = text.encode() if isinstance(text, str) else text
        recap = base64.urlsafe_b64encode(raw).decode().rstrip("=") if encoded is None else encoded
        parts = {"recap": recap, "statement": statement or stated("x")}
        return decrypt(f"ReCap text {name}", NO_CAPABILITY, session=Session().with_delegation(**parts))

    encoded = recap_text(good)
    assert len(encoded) % 4 == 0
    yield refused("one digit too many", "", encoded=encoded + "A")
    yield refused("empty", "", encoded="")
    longer = {f"{PREFIX}://*": {ability: [{}], "Threshold/Signing": [{}]}}
    padding = -len(recap_text({"att": longer, "prf": []})) % 4
    assert padding
    padded = recap_text({"att": longer, "prf": []}) + "=" * padding
    yield refused("padded", "", encoded=padded, statement=recap_statement(longer))
    yield refused("with another digit", "", encoded=encoded[:-1] + ".")
    text = canonical(good)
    for name, changed in {
        "with a blank": text.replace(",", ", ", 1),
        "with an escape": text.replace("Threshold", "\\u0054hreshold"),
        "with an escaped slash": text.replace("n/", "n\\/").replace("d/", "d\\/"),
        "in another order": json.dumps({"prf": [], "att": GRANT_ALL}, separators=(",", ":")),
        "with a key twice": text.replace('"prf":[]', '"prf":[],"prf":[]'),
        "with another key": canonical({**good, "x": 1}),
        "without prf": canonical({"att": GRANT_ALL}),
        "without att": canonical({"prf": []}),
        "null": "null",
        "a list": canonical([good]),
        "a number": "1",
        "att null": canonical({"att": None, "prf": []}),
        "att a list": canonical({"att": [], "prf": []}),
        "prf an object": canonical({"att": GRANT_ALL, "prf": {}}),
        "prf an empty text": canonical({"att": GRANT_ALL, "prf": ""}),
        "prf an object with a length": canonical({"att": GRANT_ALL, "prf": {"length": 0}}),
        "prf null": canonical({"att": GRANT_ALL, "prf": None}),
        "prf not empty": canonical({"att": GRANT_ALL, "prf": ["x"]}),
        "not JSON": text + "}",
        "with a line feed": text + "\n",
    }.items():
        yield refused(name, changed)
    yield refused("with a BOM", b"\xef\xbb\xbf" + text.encode())
    other = f"{PREFIX}://x"
    for name, entry in {"a list": [], "null": None, "a text": "x"}.items():
        yield refused(f"abilities {name}", canonical({"att": {**GRANT_ALL, other: entry}, "prf": []}))
    for name, restrictions in {
        "an object": {"0": {}},
        "null": None,
        "with null": [{}, None],
        "with a list": [{}, []],
        "with a text": [{}, "x"],
    }.items():
        att = {f"{PREFIX}://*": {ability: restrictions}}
        yield refused(f"restrictions {name}", canonical({"att": att, "prf": []}))
    for bad in ("Threshold", "/x", "x/", "a/b/c", "a b/c", "a:/c"):
        att = {**GRANT_ALL, other: {bad: [{}]}}
        shown = f"{RECAP_SENTENCE} (1) 'Threshold': 'Decryption' for '{PREFIX}://*'."
        space, name = [*bad.split("/"), ""][:2]
        shown += f" (2) '{space}': '{name}' for '{other}'."
        yield refused(f"ability {bad!r}", canonical({"att": att, "prf": []}), statement=shown)
    broken = canonical({"att": {f"{PREFIX}://*": {ability: [{"a": "?"}, {}]}}, "prf": []}).encode()
    yield refused("not UTF-8", broken.replace(b"?", b"\xff"))
    whole = {f"{PREFIX}://*": {ability: [{}, {"a": "é\U0001d11e", "b": [1, True, None, {"d": 1, "e": 2}]}]}}
    yield decrypt("ReCap text beyond ASCII in a restriction", session=Session().with_delegation(att=whole))
    for att in ([], None, "", {}):
        text = canonical({"att": att, "prf": []})
        recap = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        bare = Session().with_delegation(recap=recap, statement=RECAP_SENTENCE)
        # An empty grant is a valid delegation, so the item is looked at; anything else is not.
        code = "NodeMissingAccessControlConditions" if att == {} else NO_CAPABILITY
        yield decrypt(f"att {att!r} and no conditions", code, session=bare, accessControlConditions=...)
    for digit in "-_":
        texts = ("?" * count + "~" * 3 + ">" * 3 for count in range(9))
        grants = ({f"{PREFIX}://*": {ability: [{}, {"a": text}]}} for text in texts)
        att = next(att for att in grants if digit in recap_text({"att": att, "prf": []}))
        yield decrypt(f"ReCap text with {digit}", session=Session().with_delegation(att=att))
