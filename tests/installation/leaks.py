"""Search everything that a sandbox stores, in every form in which a secret may turn up."""

import json
import re
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from lit_airflow.protocol.session import Session
from tests.vault.parts import TOKEN, forms

WORD = re.compile(rb"[0-9A-Za-z+/_=-]{16,}")


@dataclass
class Hunt:
    """What must not be found anywhere.

    Attributes:
        secrets: Name -> the bytes.
    """

    secrets: Mapping[str, bytes] = field(repr=False)
    _words: dict[bytes, set[str]] = field(init=False, repr=False)
    _others: dict[bytes, set[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        assert all(len(secret) >= 16 for secret in self.secrets.values())
        self._words, self._others = {}, {}
        for name, secret in self.secrets.items():
            for form in forms(secret):
                kind = self._words if WORD.fullmatch(form) else self._others
                kind.setdefault(form, set()).add(name)

    def found_in(self, content: bytes) -> set[str]:
        """The names of the secrets in there, and ``a token`` for anything that looks like one of Vault's."""
        # Most forms are one long word, and little of the content is long words.
        words = b"\n".join(WORD.findall(content))
        found = {name for form, names in self._words.items() if form in words for name in names}
        found |= {name for form, names in self._others.items() if form in content for name in names}
        return found | ({"a token"} if TOKEN.search(content) else set())

    def leaks(self, places: Iterator[tuple[str, bytes]]) -> dict[str, set[str]]:
        """Place -> what was found there; and there must have been something to search."""
        searched: dict[bytes, set[str]] = {}
        leaks: dict[str, set[str]] = {}
        for place, content in places:
            digest = sha256(content).digest()  # much is stored, logged and answered more than once
            if digest not in searched:
                searched[digest] = self.found_in(content)
            if searched[digest]:
                leaks[place] = searched[digest]
        assert len(searched) > 10
        return leaks


def hex_secrets(name: str, text: str) -> dict[str, bytes]:
    """A secret that travels as hex: the text itself, and the bytes it stands for."""
    bare = text.removeprefix("0x")
    return {f"{name} (text)": bare.encode(), f"{name} (bytes)": bytes.fromhex(bare)}


def session_secrets(name: str, session: Session) -> dict[str, bytes]:
    """Whatever could open something in its holder's hands."""
    assert session.key is not None
    found = hex_secrets(f"session key of {name}", session.key.seed.reveal().hex())
    for number, signed in enumerate(session.session_sigs.values()):
        found |= hex_secrets(f"session sig {number} of {name}", signed["sig"])
    return found | hex_secrets(f"delegation of {name}", session.capabilities[-1]["sig"])


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, as it is."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def cells_of(connection: Any, tables: str) -> Iterator[tuple[str, bytes]]:  # noqa: ANN401 - of any DB-API module
    """Every value of every table: in the raw file a long one is cut up by page boundaries, or compressed.

    Args:
        connection: To the database.
        tables: The query for the names of its tables.
    """
    cursor = connection.cursor()
    cursor.execute(tables)
    for table in [row[0] for row in cursor.fetchall()]:
        cursor.execute(f'SELECT * FROM "{table}"')
        columns = [description[0] for description in cursor.description]
        for number, row in enumerate(cursor.fetchall()):
            for column, value in zip(columns, row, strict=True):
                yield f"{table}.{column}[{number}]", _bytes(value)


def cells_of_sqlite(database: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        yield from cells_of(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")


def _bytes(value: object) -> bytes:
    if isinstance(value, (bytes, memoryview)):
        stored = bytes(value)
        with suppress(zlib.error):
            stored += b"\n" + zlib.decompress(stored)
        return stored
    text = json.dumps(value) if isinstance(value, (dict, list)) else "" if value is None else str(value)
    return "\n".join(_texts(text)).encode("utf-8", "surrogatepass")


def _texts(text: str) -> Iterator[str]:
    """The text, and what it holds as JSON, however often it was escaped on its way."""
    yield text
    if text[:1] in {"{", "[", '"'}:
        with suppress(ValueError):
            yield from _leaves(json.loads(text))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from _texts(value)
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield str(key)
            yield from _leaves(held)
    elif isinstance(value, list):
        for held in value:
            yield from _leaves(held)
