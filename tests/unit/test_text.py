from __future__ import annotations

import base64
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.text import MAX_SHOWN_CHARS, cut, is_encodable, listed, printable, quoted, unbase64, word

ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT)
def test_what_is_shown_is_printable_and_short(text: str) -> None:
    for shown in (quoted(text), word(text)):
        assert shown.isprintable()
        assert len(shown) <= 12 * MAX_SHOWN_CHARS + 40
    assert printable(text).isprintable()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=MAX_SHOWN_CHARS))
def test_a_short_printable_text_is_quoted_as_json_quotes_it(text: str) -> None:
    assert json.loads(quoted(text)) == text


@pytest.mark.parametrize("bad", ["\x1b[2K", "\r", "\n", "\x9b", "\u202e", "\u200b", "\u2028", "\ud800"])
def test_no_control_character_or_direction_mark_is_shown(bad: str) -> None:
    shown = quoted(f"a{bad}b")
    assert bad not in shown
    assert not any(unicodedata.category(character)[0] == "C" for character in shown)


def test_a_long_text_is_cut_and_the_rest_is_counted() -> None:
    assert quoted("a" * 80) == '"' + "a" * 80 + '"'
    assert quoted("a" * 5000) == '"' + "a" * 80 + '" (4920 more characters)'
    assert word("a" * 81) == '"' + "a" * 80 + '" (1 more characters)'
    assert cut("abcdef", 3) == "abc... (3 more characters)"
    assert cut("abc", 3) == "abc"


@pytest.mark.parametrize("text", ["polygon", "ERC20", "a.b-c_d", "7", "a/b"])
def test_a_plain_name_needs_no_quotes(text: str) -> None:
    assert word(text) == text


@pytest.mark.parametrize("text", ["", "a b", "-a", "/a", 'a"', "a\n", "ü"])
def test_anything_else_is_quoted(text: str) -> None:
    assert word(text) == quoted(text)


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b c"]) == 'a, "b c"'
    assert listed(map(str, range(13))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more"
    assert listed([]) == ""


def test_an_unpaired_surrogate_is_not_encodable() -> None:
    assert is_encodable("\U00010000")
    assert not is_encodable("a\udc00")


RAW = bytes(range(256))
ENCODED = base64.b64encode(RAW).decode()


@pytest.mark.parametrize(
    "text",
    [
        ENCODED,
        ENCODED[:76] + "\n" + ENCODED[76:],
        base64.encodebytes(RAW).decode(),
        base64.encodebytes(RAW).decode().replace("\n", "\r\n"),
        f"  {ENCODED}\n",
        ENCODED.rstrip("="),
        ENCODED + "==",
        base64.urlsafe_b64encode(RAW).decode(),
        base64.urlsafe_b64encode(RAW).decode().rstrip("="),
        "\ufeff" + ENCODED,
        ENCODED.replace("A", "A\t "),
    ],
)
def test_base64_as_node_20_reads_it(text: str) -> None:
    assert unbase64(text) == RAW


@pytest.mark.parametrize("text", ["!", "AAAA!", "A", "AAAAA", "é", "AA=A"])
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unbase64(text)
