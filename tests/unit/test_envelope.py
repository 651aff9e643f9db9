"""Envelopes: Tink's bytes, boundaries, and every kind of damage."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.spec import AbstractBufferedFile
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow import envelope
from lit_airflow.envelope import MAGIC, Head
from lit_airflow.errors import CiphertextError
from lit_airflow.keys.secret import Secret
from tests.unit.frames import recorded

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "envelope" / "tink.json").read_text())["cases"]
KEY = Secret(bytes(range(32)))
HEAD = envelope.write_head({"ciphertext": "…", "dataToEncryptHash": "00"})
SMALL = 128
FIRST, THEN = SMALL - 40 - 16, SMALL - 16


def sealed(plaintext: bytes, head: Head = HEAD, key: Secret = KEY) -> bytes:
    target = io.BytesIO()
    envelope.seal(io.BytesIO(plaintext), target, key, head, segment_bytes=SMALL)
    return target.getvalue()


def open_into(target: io.BytesIO, whole: bytes, key: Secret = KEY) -> None:
    source = io.BytesIO(whole)
    head = envelope.read_head(source)
    if head is None:
        raise CiphertextError("no envelope")
    envelope.unseal(source, target, lit_opened(key, head), head, segment_bytes=SMALL)


def lit_opened(key: Secret, head: Head) -> Secret:
    """What Lit decrypts: the tagged key, or of version 1 the key."""
    return envelope.tagged_key(key) if head.tagged else key


def opened(whole: bytes) -> bytes:
    target = io.BytesIO()
    open_into(target, whole)
    return target.getvalue()


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_the_body_is_tinks(case: dict[str, Any]) -> None:
    plaintext = bytes.fromhex(case["plaintext"]) if "plaintext" in case else bytes(case["plaintext_zeros"])
    key, head = Secret(bytes.fromhex(case["key"])), Head({}, bytes.fromhex(case["bound"]))
    preamble, target = bytes.fromhex(case["preamble"]), io.BytesIO()
    done = envelope.seal(
        io.BytesIO(plaintext),
        target,
        key,
        head,
        segment_bytes=case["segment_bytes"],
        salt=preamble[1:33],
        prefix=preamble[33:],
    )
    body = target.getvalue().removeprefix(head.line)
    assert done == len(plaintext)
    if "body" in case:
        assert body.hex() == case["body"]
    else:
        assert hashlib.sha256(body).hexdigest() == case["body_sha256"]
    back = io.BytesIO()
    envelope.unseal(io.BytesIO(body), back, lit_opened(key, head), head, segment_bytes=case["segment_bytes"])
    assert back.getvalue() == plaintext


@given(st.binary(max_size=5 * SMALL))
def test_what_went_in_comes_out(plaintext: bytes) -> None:
    assert opened(sealed(plaintext)) == plaintext


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + THEN, FIRST + THEN + 1])
def test_boundaries(size: int) -> None:
    whole = sealed(b"x" * size)
    segments = 1 if size <= FIRST else 1 + -(-(size - FIRST) // THEN)
    assert len(whole) == len(HEAD.line) + 40 + size + 16 * segments
    assert opened(whole) == b"x" * size


def test_the_head_is_one_line_that_people_can_read() -> None:
    line = sealed(b"").split(b"\n", maxsplit=1)[0]
    assert line.startswith(b"lit-envelope/2 {")
    assert json.loads(line.removeprefix(MAGIC)) == HEAD.container


def test_salt_and_prefix_are_new_each_time() -> None:
    assert len({sealed(b"same") for _ in range(5)}) == 5
    assert envelope.new_key() != envelope.new_key()


class Trickle(io.RawIOBase):
    """A stream that gives three bytes at a time, as sockets and pipes may."""

    def __init__(self, contents: bytes) -> None:
        self._rest = io.BytesIO(contents)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever RawIOBase hands over
        return self._rest.readinto(memoryview(buffer)[:3])


def test_streams_that_give_less_than_they_are_asked_for() -> None:
    plaintext = bytes(range(250))
    target, back = io.BytesIO(), io.BytesIO()
    envelope.seal(Trickle(plaintext), target, KEY, HEAD, segment_bytes=SMALL)  # type: ignore[arg-type]
    source = Trickle(target.getvalue())
    head = envelope.read_head(source)  # type: ignore[arg-type]
    assert head == HEAD
    envelope.unseal(source, back, envelope.tagged_key(KEY), HEAD, segment_bytes=SMALL)  # type: ignore[arg-type]
    assert back.getvalue() == plaintext


class InStore(AbstractBufferedFile):
    """A file of a store, as fsspec's drivers make them: its ``readline`` takes no limit."""

    def __init__(self, contents: bytes) -> None:
        super().__init__(None, "sealed", "rb", block_size=SMALL, size=len(contents))
        self._contents = contents

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._contents[start:end]


def test_files_of_stores() -> None:
    source, back = InStore(sealed(b"x" * 500)), io.BytesIO()
    head = envelope.read_head(source)
    assert head == HEAD
    envelope.unseal(source, back, envelope.tagged_key(KEY), HEAD, segment_bytes=SMALL)
    assert back.getvalue() == b"x" * 500


class Keeping(list[bytes]):
    """A target that keeps what it is given."""

    def write(self, part: bytes) -> int:
        self.append(part)
        return len(part)


def test_targets_may_keep_what_they_are_given(tmp_path: Path) -> None:
    """The memory of a segment is used again for the next one."""
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(range(250)))
    kept, back = Keeping(), Keeping()
    with plain.open("rb") as source:
        envelope.seal(source, kept, KEY, HEAD, segment_bytes=SMALL)  # type: ignore[arg-type]
    body = io.BytesIO(b"".join(kept).removeprefix(HEAD.line))
    envelope.unseal(body, back, envelope.tagged_key(KEY), HEAD, segment_bytes=SMALL)  # type: ignore[arg-type]
    assert b"".join(back) == bytes(range(250))


class Shouting(io.BufferedReader):
    """A file with a way of reading of its own."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size).upper()


def test_sources_with_a_read_of_their_own(tmp_path: Path) -> None:
    plain, target = tmp_path / "plain", io.BytesIO()
    plain.write_bytes(b"quiet" * 50)
    with Shouting(plain.open("rb", buffering=0)) as source:
        envelope.seal(source, target, KEY, HEAD, segment_bytes=SMALL)
    assert opened(target.getvalue()) == b"QUIET" * 50


def test_a_pipe_without_data_is_not_at_its_end() -> None:
    """What is read of it would be a complete envelope of half the data."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    with os.fdopen(reads, "rb") as source, os.fdopen(writes, "wb") as other:
        other.write(b"the first half")
        other.flush()
        with pytest.raises(BlockingIOError, match="waits for data"):
            envelope.seal(source, io.BytesIO(), KEY, HEAD, segment_bytes=SMALL)


def test_progress_counts_the_plaintext() -> None:
    told: list[int] = []
    plaintext = bytes(FIRST + THEN + 5)
    target = io.BytesIO()
    envelope.seal(io.BytesIO(plaintext), target, KEY, HEAD, segment_bytes=SMALL, progress=told.append)
    assert told == [FIRST, FIRST + THEN, FIRST + THEN + 5]
    source, told_back = io.BytesIO(target.getvalue()[len(HEAD.line) :]), []
    envelope.unseal(
        source, io.BytesIO(), envelope.tagged_key(KEY), HEAD, segment_bytes=SMALL, progress=told_back.append
    )
    assert told_back == told


PLAINTEXT = bytes(range(256)) + bytes(range(144))
WHOLE = sealed(PLAINTEXT)
BODY = len(HEAD.line) + 40


def segments(whole: bytes) -> list[bytes]:
    ends = [BODY + FIRST + 16]
    while ends[-1] < len(whole):
        ends.append(ends[-1] + SMALL)
    return [whole[start:end] for start, end in zip([BODY, *ends], ends, strict=False)]


def refused(whole: bytes, key: Secret = KEY) -> bytes:
    """What was released of a file that must not open: the beginning of the plaintext, or nothing."""
    target = io.BytesIO()
    with pytest.raises(CiphertextError) as caught:
        open_into(target, whole, key)
    if "of the plaintext" in str(caught.value):
        assert f"from byte {len(target.getvalue())} of" in str(caught.value)
    return target.getvalue()


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(place: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= change
    released = refused(bytes(damaged))
    assert PLAINTEXT.startswith(released)
    assert len(released) <= max(0, place - BODY)


@given(st.integers(0, len(WHOLE) - 1))
def test_no_byte_can_be_cut_off(length: int) -> None:
    assert len(refused(WHOLE[:length])) < len(PLAINTEXT)


@pytest.mark.parametrize("kept", range(4))
def test_no_segment_can_be_cut_off(kept: int) -> None:
    assert len(segments(WHOLE)) == 4
    refused(WHOLE[:BODY] + b"".join(segments(WHOLE)[:kept]))


@given(st.binary(min_size=1, max_size=3 * SMALL))
def test_nothing_can_be_added(more: bytes) -> None:
    refused(WHOLE + more)


@given(st.permutations(range(4)).filter(lambda order: order != [0, 1, 2, 3]))
def test_segments_have_their_places(order: list[int]) -> None:
    parts = segments(WHOLE)
    released = refused(WHOLE[:BODY] + b"".join(parts[number] for number in order))
    assert PLAINTEXT.startswith(released)


def test_a_segment_can_neither_be_left_out_nor_repeated() -> None:
    one, two, three, four = segments(WHOLE)
    for parts in ([one, three, four], [two, three, four], [one, two, two, three, four], [one, two, four]):
        refused(WHOLE[:BODY] + b"".join(parts))


def test_a_segment_of_another_file_under_the_same_key_does_not_fit() -> None:
    other = sealed(PLAINTEXT)
    one, two, *rest = segments(WHOLE)
    assert refused(WHOLE[:BODY] + one + segments(other)[1] + b"".join(rest)) == PLAINTEXT[:FIRST]
    assert refused(WHOLE[:BODY] + segments(other)[0] + two + b"".join(rest)) == b""


def test_another_line_of_the_same_meaning_does_not_fit() -> None:
    spaced = MAGIC + json.dumps(HEAD.container).encode() + b"\n"
    assert spaced != HEAD.line
    assert json.loads(spaced.removeprefix(MAGIC)) == HEAD.container
    assert refused(spaced + WHOLE[len(HEAD.line) :]) == b""


@pytest.mark.parametrize("key", [bytes(32), bytes(31), bytes(33), b""], ids=len)
def test_another_key_does_not_fit(key: bytes) -> None:
    assert refused(WHOLE, Secret(key)) == b""


class TestVersions:
    """Version 2 tags the data key, so that it cannot pass as data, nor data as a key."""

    OLD = Head({"ciphertext": "AA"}, b'lit-envelope/1 {"ciphertext":"AA"}\n')

    def test_version_2_is_written(self) -> None:
        assert HEAD.tagged
        assert WHOLE.startswith(b"lit-envelope/2 ")

    def test_version_1_is_read(self) -> None:
        whole = sealed(PLAINTEXT, self.OLD)
        assert envelope.read_head(io.BytesIO(whole)) == self.OLD
        assert not self.OLD.tagged
        assert opened(whole) == PLAINTEXT

    def test_a_key_without_its_tag_opens_nothing(self) -> None:
        for key in (KEY.reveal(), b"", envelope.KEY_TAG, envelope.KEY_TAG[:-1] + KEY.reveal()):
            assert self.released(WHOLE, key) == b""

    def test_nor_does_a_tagged_one_of_another_length(self) -> None:
        for more in (KEY.reveal()[:-1], KEY.reveal() + b"x"):
            assert self.released(WHOLE, envelope.KEY_TAG + more) == b""

    def test_a_tagged_key_opens_no_envelope_of_version_1(self) -> None:
        assert self.released(sealed(PLAINTEXT, self.OLD), envelope.tagged_key(KEY).reveal()) == b""

    def test_the_version_cannot_be_changed(self) -> None:
        """The line is bound to every segment, so that what is tagged cannot be called untagged."""
        as_1 = WHOLE.replace(b"lit-envelope/2", b"lit-envelope/1", 1)
        as_2 = sealed(PLAINTEXT, self.OLD).replace(b"lit-envelope/1", b"lit-envelope/2", 1)
        assert refused(as_1) == refused(as_2) == b""

    def test_what_is_a_data_key(self) -> None:
        assert envelope.is_data_key(envelope.tagged_key(KEY).reveal())
        assert envelope.is_data_key(envelope.KEY_TAG)
        for data in (b"", KEY.reveal(), envelope.KEY_TAG[:-1], b" " + envelope.tagged_key(KEY).reveal()):
            assert not envelope.is_data_key(data)

    @staticmethod
    def released(whole: bytes, opened_by_lit: bytes) -> bytes:
        """What is written of an envelope whose container holds this, and must not open."""
        source, target = io.BytesIO(whole), io.BytesIO()
        head = envelope.read_head(source)
        assert head is not None
        with pytest.raises(CiphertextError, match="does not contain a data key"):
            envelope.unseal(source, target, Secret(opened_by_lit), head, segment_bytes=SMALL)
        return target.getvalue()


def test_an_envelope_can_be_told_from_what_it_is_not() -> None:
    """What was read to find out is not lost."""
    assert envelope.split_head(io.BytesIO(WHOLE)) == (HEAD, b"")
    for other in (b"", b"{", b'{"ciphertext": "AA"}', b"lit-envelope/3 {}\n"):
        source = io.BytesIO(other)
        head, start = envelope.split_head(source)
        assert head is None
        assert start + source.read() == other


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]\n", b"{\n", b"\xff\n", b"null\n", b"[" * 100_000 + b"\n", b"x" * 2_000_000 + b"\n"],
    ids=lambda line: str(line[:8]),
)
def test_a_line_that_is_none(line: bytes) -> None:
    with pytest.raises(CiphertextError, match="first line"):
        envelope.read_head(io.BytesIO(MAGIC + line))


@pytest.mark.parametrize("start", [b"", b"{", b'{"ciphertext": "AA"}', b"lit-envelope/3 {}\n", MAGIC[:-1]])
def test_other_files_are_no_envelopes(start: bytes) -> None:
    assert envelope.read_head(io.BytesIO(start)) is None


def test_a_head_that_no_reader_takes_is_not_written() -> None:
    with pytest.raises(CiphertextError, match="first line"):
        envelope.write_head({"ciphertext": "A" * 1_100_000})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**100, "deep"])
def test_a_head_that_cannot_be_read_back_is_not_written(value: object) -> None:
    nested: object = value
    for _ in range(70 if value == "deep" else 0):
        nested = [nested]
    with pytest.raises(CiphertextError, match="JSON"):
        envelope.write_head({"ciphertext": nested})


class FullDisk(io.BytesIO):
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, part: Any) -> int:  # noqa: ANN401 - any buffer
        if self.tell() + len(part) > self._room:
            raise OSError(28, "No space left on device")
        return super().write(part)


class BrokenDisk(io.BytesIO):
    """A disk that can be read up to some byte."""

    def __init__(self, contents: bytes, good: int) -> None:
        super().__init__(contents)
        self._good = good

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self._good:
            raise OSError(5, "Input/output error")
        return super().read(size)


CANARY = b"canary" * 100


@pytest.mark.parametrize("room", [0, BODY, BODY + SMALL])
def test_no_frame_of_a_full_disk_contains_plaintext(room: int) -> None:
    for action in (
        lambda: envelope.seal(io.BytesIO(CANARY), FullDisk(room), KEY, HEAD, segment_bytes=SMALL),
        lambda: open_into(FullDisk(room), sealed(CANARY)),
    ):
        with pytest.raises(OSError, match="No space left") as caught:
            action()
        assert "canary" not in recorded(caught.value)


def test_no_frame_of_a_full_file_contains_plaintext(tmp_path: Path) -> None:
    """A file is written from the memory of the segment itself."""
    plaintext, whole = CANARY * 2000, io.BytesIO()
    assert len(plaintext) > envelope.SEGMENT_BYTES
    (tmp_path / "plain").write_bytes(plaintext)
    envelope.seal(io.BytesIO(plaintext), whole, KEY, HEAD)
    whole.seek(len(HEAD.line))
    full, plain = Path("/dev/full"), tmp_path / "plain"
    refusal = partial(pytest.raises, OSError, match="No space left")
    with refusal() as sealing, plain.open("rb") as source, full.open("wb") as target:
        envelope.seal(source, target, KEY, HEAD)
    with refusal() as opening, full.open("wb") as target:
        envelope.unseal(whole, target, envelope.tagged_key(KEY), HEAD)
    assert "canary" not in recorded(sealing.value) + recorded(opening.value)


def test_no_frame_of_a_broken_disk_contains_plaintext() -> None:
    with pytest.raises(OSError, match="Input/output") as caught:
        envelope.seal(BrokenDisk(CANARY, SMALL), io.BytesIO(), KEY, HEAD, segment_bytes=SMALL)
    assert "canary" not in recorded(caught.value)


def test_no_frame_of_a_refusal_contains_plaintext() -> None:
    whole = sealed(CANARY)
    with pytest.raises(CiphertextError, match="from byte 72 of") as caught:
        open_into(io.BytesIO(), whole[: BODY + SMALL])
    assert "canary" not in recorded(caught.value)


STREAMED = """
import sys
from pathlib import Path
from lit_airflow import envelope
from lit_airflow.keys.secret import Secret
from tests.unit.frames import recorded

folder, megabytes = Path(sys.argv[1]), int(sys.argv[2])
key, head = Secret(bytes(32)), envelope.write_head({})


def peak():  # of this program; ru_maxrss would count what its parent had before
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def through(name):
    with (folder / name).open("rb") as source, (folder / "sealed").open("wb") as target:
        envelope.seal(source, target, key, head)
    with (folder / "sealed").open("rb") as source, (folder / "opened").open("wb") as target:
        envelope.unseal(source, target, envelope.tagged_key(key), envelope.read_head(source))


for name, size in (("small", 4), ("large", megabytes)):
    with (folder / name).open("wb") as target:
        target.truncate(size << 20)
through("small")
before = peak()
through("large")
assert (folder / "opened").stat().st_size == megabytes << 20
print(peak() - before)
"""


@pytest.mark.parametrize("megabytes", [32, pytest.param(512, marks=pytest.mark.soak)])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, megabytes: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STREAMED, str(tmp_path), str(megabytes)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 4 * 1024  # kB


def test_every_segment_uses_the_same_memory(tmp_path: Path) -> None:
    """New memory for each segment takes as long as encrypting it."""
    plain, whole, back = (tmp_path / name for name in ("plain", "sealed", "back"))
    with plain.open("wb") as target:
        target.truncate(8 * envelope.SEGMENT_BYTES)

    def there_and_back() -> None:
        with plain.open("rb") as source, whole.open("wb") as target:
            envelope.seal(source, target, KEY, HEAD)
        with whole.open("rb") as source, back.open("wb") as target:
            head = envelope.read_head(source)
            envelope.unseal(source, target, envelope.tagged_key(KEY), HEAD)
            assert head == HEAD

    there_and_back()  # loads what it needs
    tracemalloc.start()
    try:
        there_and_back()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * envelope.SEGMENT_BYTES  # one segment as it is read, and one as it is written


def test_resealing_streams() -> None:
    contents = os.urandom(5 * envelope.SEGMENT_BYTES + 3)
    (old, old_head), (new, new_head) = (
        (envelope.new_key(), envelope.write_head({"ciphertext": name})) for name in ("old", "new")
    )
    sealed, again, back = io.BytesIO(), io.BytesIO(), io.BytesIO()
    envelope.seal(io.BytesIO(contents), sealed, old, old_head)
    size = sealed.tell()
    sealed.seek(len(old_head.line))
    ahead: list[int] = []
    opened = envelope.tagged_key(old)
    done = envelope.reseal(
        sealed,
        again,
        opened,
        old_head,
        new,
        new_head,
        progress=lambda done: ahead.append(sealed.tell() - done),
    )
    assert done == len(contents)
    assert size > 5 * envelope.SEGMENT_BYTES
    assert max(ahead) < 4 * envelope.SEGMENT_BYTES
    again.seek(0)
    head = envelope.read_head(again)
    assert head is not None
    envelope.unseal(again, back, envelope.tagged_key(new), head)
    assert back.getvalue() == contents
