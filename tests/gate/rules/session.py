"""The session signature: its object, the signature itself, the signed text."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.gate import ed25519
from tests.gate.building import PREFIX, Container, Delegation, Json, Session, canonical, request_for
from tests.gate.rules.cases import NO_AUTH_SIG, NO_CAPABILITY, NOT_THE_SESSION, Case, decrypt, without


def cases() -> Iterator[Case]:
    yield from _auth_sigs()
    yield from _signatures()
    yield from _session_texts()


def _auth_sigs() -> Iterator[Case]:
    good = Session().sign()
    for value in (None, [], "text", 1, [good], {}):
        yield decrypt(f"authSig is {str(value)[:9]}", NO_AUTH_SIG, authSig=value)
    for name in ("sig", "derivedVia", "signedMessage", "address"):
        yield decrypt(f"authSig without {name}", NO_AUTH_SIG, authSig=without(good, name))
        yield decrypt(f"authSig.{name} a number", NO_AUTH_SIG, authSig={**good, name: 1})
        yield decrypt(f"authSig.{name} a list", NO_AUTH_SIG, authSig={**good, name: [good[name]]})
        yield decrypt(
            f"authSig.{name} with half a character",
            NO_AUTH_SIG,
            authSig={**good, name: good[name] + "\ud800"},
        )
    yield decrypt("authSig.algo null", NO_AUTH_SIG, authSig={**good, "algo": None})
    yield decrypt("authSig.algo a number", NO_AUTH_SIG, authSig={**good, "algo": 1})
    yield decrypt("authSig with another key", NO_AUTH_SIG, authSig={**good, "network": "x"})
    kind = "NodeCannotProvideAuthSigForEndpoint"
    yield decrypt("authSig without algo", kind, authSig=without(good, "algo"))
    yield decrypt("authSig.algo another", kind, authSig={**good, "algo": "LIT_BLS"})
    yield decrypt(
        "authSig.derivedVia another", kind, authSig={**good, "derivedVia": "web3.eth.personal.sign"}
    )
    address = "NodeAuthSigAddressConversionError"
    for bad in (
        good["address"][1:],
        good["address"] + "0",
        good["address"].upper(),
        "0x" + good["address"],
        "g" * 64,
    ):
        yield decrypt(f"address {bad[:4]}… of {len(bad)}", address, authSig={**good, "address": bad})
    for bad in (good["sig"][1:], good["sig"] + "0", good["sig"].upper(), "0x" + good["sig"], "g" * 128):
        yield decrypt(
            f"sig {bad[:4]}… of {len(bad)}",
            "NodeAuthSigSignatureConversionError",
            authSig={**good, "sig": bad},
        )


def _signatures() -> Iterator[Case]:
    code = "NodeInvalidAuthSigSessionKeySignature"
    for number, key in enumerate(ed25519.SMALL_ORDER):
        text = Session(changes={"sessionKey": key.hex()}).message()
        forged = {"address": key.hex(), "sig": ed25519.forge(key, text.encode()).hex()}
        yield decrypt(
            f"forged under small-order key {number}", code, authSig={**Session(text=text).sign(), **forged}
        )
    for number, point in enumerate(ed25519.SMALL_ORDER):
        signed = {"sig": point.hex() + Session().sign()["sig"][64:]}
        yield decrypt(f"R of small order {number}", code, session=Session(signed=signed))
    session = Session()
    signed = {"sig": ed25519.sign_with_identity_as_r(session.seed, session.message().encode()).hex()}
    yield decrypt("R is the identity, and the equation holds", code, session=Session(signed=signed))
    sig = session.sign()["sig"]
    s = int.from_bytes(bytes.fromhex(sig[64:]), "little")
    for name, number in (("s + order", s + ed25519.ORDER), ("s is the order", ed25519.ORDER), ("s is 0", 0)):
        changed = sig[:64] + number.to_bytes(32, "little").hex()
        yield decrypt(name, code, session=Session(signed={"sig": changed}))
    yield decrypt("key off the curve", code, session=Session(signed={"address": "02" + "00" * 31}))
    beyond = canonical({"é": "\U0001d11e"})
    yield decrypt("text beyond ASCII is signed as UTF-8", NOT_THE_SESSION, session=Session(text=beyond))


def _session_texts() -> Iterator[Case]:
    members = json.loads(Session().message())
    for text in (
        "",
        "null",
        "[]",
        '"x"',
        "1",
        "{}",
        Session().message() + "x",
        "\ufeff" + Session().message(),
    ):
        yield decrypt(f"text {text[:8]!r} of {len(text)}", NOT_THE_SESSION, session=Session(text=text))
    for name in members:
        yield decrypt(f"text without {name}", NOT_THE_SESSION, session=Session(changes={name: None}))
        for value in (1, {}, [1], False):
            yield decrypt(f"{name} is {value!r}", NOT_THE_SESSION, session=Session(changes={name: value}))
    key = members["sessionKey"]
    for value in (key.upper(), f"lit:session:{key}", "00" * 32):
        yield decrypt(
            f"sessionKey is {value[:14]}", NOT_THE_SESSION, session=Session(changes={"sessionKey": value})
        )
    reply = members["replyKey"]
    for value in (reply[1:], reply + "0", reply.upper(), "0x" + reply):
        yield decrypt(
            f"replyKey of {len(value)} {value[:4]}", NOT_THE_SESSION, session=Session(reply_key=value)
        )
    for name in ("issuedAt", "expiration", "nodeAddress"):
        text = Session().message().replace(f'"{name}":"', f'"{name}":"\\ud800')
        yield decrypt(f"{name} with half a character", NOT_THE_SESSION, session=Session(text=text))
    yield decrypt("unknown members of the text", session=Session(changes={"maxPrice": {"a": [1]}}))
    twice = Session().message().replace('{"sessionKey"', '{"replyKey":1,"sessionKey"')
    yield decrypt("a member twice, the last counts", session=Session(text=twice))
    yield from _requests_in_text()
    yield from _capabilities_in_text()


def _requests_in_text() -> Iterator[Case]:
    good = request_for()
    resource = good["resource"]
    bad: dict[str, Json] = {
        "null": None,
        "a list": [good],
        "without ability": without(good, "ability"),
        "ability a number": {**good, "ability": 1},
        "without resource": without(good, "resource"),
        "resource null": {**good, "resource": None},
        "resource a text": {**good, "resource": "*"},
        "resource a list": {**good, "resource": [resource]},
        "without resource.resource": {**good, "resource": without(resource, "resource")},
        "resource.resource a number": {**good, "resource": {**resource, "resource": 1}},
        "without resourcePrefix": {**good, "resource": without(resource, "resourcePrefix")},
        "resourcePrefix a list": {**good, "resource": {**resource, "resourcePrefix": [PREFIX]}},
    }
    for name, entry in bad.items():
        yield decrypt(f"request {name}", NOT_THE_SESSION, session=Session(requests=[good, entry]))
    yield decrypt(
        "request with data and unknown keys", session=Session(requests=[{**good, "data": 5, "x": None}])
    )
    missing = "NodeResourceIdNotFound"
    identity = Container().id
    for name, entry in {
        "another prefix": {**good, "resource": {**resource, "resourcePrefix": "lit-pkp"}},
        "another ability": {**good, "ability": "access-control-condition-signing"},
        "part of the id": request_for(identity[:-1]),
        "only the conditions": request_for(identity.split("/")[0]),
        "id in upper case": request_for(identity.upper()),
        "empty resource": request_for(""),
    }.items():
        yield decrypt(f"session asks for {name}", missing, session=Session(requests=[entry]))
    yield decrypt(
        "session asks for exactly this", session=Session(requests=[request_for("x"), request_for(identity)])
    )
    spread = [{**good, "ability": "x"}, request_for("x")]
    yield decrypt("no single request fits", missing, session=Session(requests=spread))


def _capabilities_in_text() -> Iterator[Case]:
    session = Session()
    good = Delegation().sign(session.key)
    for name, entry in {
        "null": None,
        "a list": [],
        "with another key": {**good, "x": 1},
        "without sig": without(good, "sig"),
        "sig a number": {**good, "sig": 1},
        "algo a number": {**good, "algo": 1},
        "algo null": {**good, "algo": None},
    }.items():
        changed = Session(changes={"capabilities": [good, entry]})
        yield decrypt(f"capability {name}", NOT_THE_SESSION, session=changed)
    yield decrypt("no capability", NO_CAPABILITY, session=Session(delegations=()))
    other = {**good, "algo": "anything", "derivedVia": "anything"}
    yield decrypt("capability's kind is not looked at", session=Session(changes={"capabilities": [other]}))
