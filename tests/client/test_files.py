"""Files of any size through the client: the data key through the network, the file past it."""

import io
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lit_airflow import LitClient, Scope, Wallet, envelope
from lit_airflow.envelope import SEGMENT_BYTES
from lit_airflow.errors import CiphertextError, ConditionError, ScopeError
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.session import Session
from tests.client.conftest import Job
from tests.unit.frames import recorded

CONTENTS = os.urandom(2 * SEGMENT_BYTES + 17)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain"
    path.write_bytes(CONTENTS)
    return path


def session_for(job: Job, container: dict[str, object]) -> Session:
    return job.lit.open_session(job.wallet, job.lit.scope_of(container, container), ttl_s=600)


def test_paths(job: Job, plain: Path, tmp_path: Path) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "deep" / "er" / "back"
    container = job.lit.encrypt_file(plain, str(sealed), job.conditions)
    assert job.lit.decrypt_file(str(sealed), back, session_for(job, container)) == len(CONTENTS)
    assert back.read_bytes() == CONTENTS
    assert [path.stat().st_mode & 0o777 for path in (sealed, back)] == [0o600, 0o600]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "plain", "sealed"]


def test_streams(job: Job) -> None:
    sealed, back = io.BytesIO(), io.BytesIO()
    told: list[int] = []
    container = job.lit.encrypt_file(io.BytesIO(CONTENTS), sealed, job.conditions, progress=told.append)
    sealed.seek(0)
    job.new_client().decrypt_file(sealed, back, session_for(job, container), progress=told.append)
    assert back.getvalue() == CONTENTS
    assert told[:3] == told[3:]
    assert told[2] == len(CONTENTS)


def test_the_network_sees_a_key_and_never_the_file(job: Job, plain: Path, tmp_path: Path) -> None:
    one, two = (job.lit.encrypt_file(plain, tmp_path / name, job.conditions) for name in "ab")
    assert one["dataToEncryptHash"] != two["dataToEncryptHash"]
    opened = job.lit.decrypt(one, one, session_for(job, one), data_key=True)
    assert (opened[:24], len(opened)) == (b"lit-envelope/2 data key\n", 24 + 32)
    sent = b"".join(str(request).encode() for request in job.net.requests)
    assert len(sent) < SEGMENT_BYTES


def test_a_data_key_is_delivered_to_nobody_who_did_not_ask(job: Job, plain: Path, tmp_path: Path) -> None:
    """An envelope may be replaced by its own first line, which decrypts to the key of the rest."""
    sealed = tmp_path / "sealed"
    container = job.lit.encrypt_file(plain, sealed, job.conditions)
    first_line = json.loads(sealed.read_bytes().split(b"\n")[0].removeprefix(envelope.MAGIC))
    assert first_line == container
    session = session_for(job, first_line)
    with pytest.raises(CiphertextError, match="data key of an envelope") as caught:
        job.lit.decrypt(first_line, first_line, session)
    assert "first line" in caught.value.hint
    one, two = job.lit.decrypt_many([(first_line, first_line)] * 2, session)
    for outcome in (one, two):
        assert isinstance(outcome.error, CiphertextError)
        assert outcome.plaintext is None
    (loaded,) = job.lit.decrypt_loads([lambda: Container.parse(first_line)], lambda _: session)
    assert isinstance(loaded.error, CiphertextError)
    (raw,) = job.lit.decrypt_loads([lambda: Container.parse(first_line)], lambda _: session, data_keys=True)
    assert envelope.is_data_key(raw.result())


def test_no_frame_of_that_refusal_contains_the_key(job: Job, plain: Path, tmp_path: Path) -> None:
    container = job.lit.encrypt_file(plain, tmp_path / "sealed", job.conditions)
    session = session_for(job, container)
    key = job.lit.decrypt(container, container, session, data_key=True).removeprefix(envelope.KEY_TAG)
    with pytest.raises(CiphertextError) as caught:
        job.lit.decrypt(container, container, session)
    assert repr(key)[2:-1] not in recorded(caught.value)


def test_whether_an_envelope_may_be_decrypted_can_be_asked(job: Job, plain: Path, tmp_path: Path) -> None:
    container = job.lit.encrypt_file(plain, tmp_path / "sealed", job.conditions)
    assert job.lit.grants(container, container, session_for(job, container))
    stranger = job.lit.open_session(Wallet.from_key("22" * 32), job.lit.scope_of(container, container))
    assert not job.lit.grants(container, container, stranger)


def test_version_1_is_still_read(job: Job, tmp_path: Path) -> None:
    """Its data key is 32 bytes under Lit, without a tag."""
    key = envelope.new_key()
    container = {**job.lit.encrypt(key.reveal(), job.conditions), **job.conditions}
    head = envelope.Head(container, b"lit-envelope/1 " + json.dumps(container).encode() + b"\n")
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    with sealed.open("wb") as target:
        envelope.seal(io.BytesIO(CONTENTS), target, key, head)
    job.lit.decrypt_file(sealed, back, session_for(job, container))
    assert back.read_bytes() == CONTENTS


def test_data_that_looks_like_no_key_is_no_key(job: Job, tmp_path: Path, all_items: Scope) -> None:
    """A container of 32 bytes put before another body: of version 2, it is not taken for a key."""
    key = envelope.new_key()
    container = job.lit.make_container(key.reveal(), job.conditions)
    sealed = tmp_path / "sealed"
    with sealed.open("wb") as target:
        envelope.seal(io.BytesIO(CONTENTS), target, key, envelope.write_head(container))
    session = job.lit.open_session(job.wallet, all_items, ttl_s=600)
    with pytest.raises(CiphertextError, match="does not contain a data key"):
        job.lit.decrypt_file(sealed, tmp_path / "back", session)
    assert not (tmp_path / "back").exists()


def test_a_session_for_one_file_opens_no_other(job: Job, plain: Path, tmp_path: Path) -> None:
    one, two = (job.lit.encrypt_file(plain, tmp_path / name, job.conditions) for name in "ab")
    assert one != two
    with pytest.raises(ScopeError):
        job.lit.decrypt_file(tmp_path / "b", tmp_path / "back", session_for(job, one))
    assert not (tmp_path / "back").exists()


def test_a_head_put_before_another_body_opens_nothing(
    job: Job, plain: Path, tmp_path: Path, all_items: Scope
) -> None:
    lines = []
    for name in "ab":
        job.lit.encrypt_file(plain, tmp_path / name, job.conditions)
        lines.append((tmp_path / name).read_bytes().split(b"\n", maxsplit=1))
    (tmp_path / "mixed").write_bytes(lines[0][0] + b"\n" + lines[1][1])
    session = job.lit.open_session(job.wallet, all_items, ttl_s=600)
    with pytest.raises(CiphertextError, match="from byte 0 of the plaintext"):
        job.lit.decrypt_file(tmp_path / "mixed", tmp_path / "back", session)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("kept", [SEGMENT_BYTES // 2, 2 * SEGMENT_BYTES, -1])
def test_a_damaged_file_leaves_what_was_there(job: Job, plain: Path, tmp_path: Path, kept: int) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    container = job.lit.encrypt_file(plain, sealed, job.conditions)
    sealed.write_bytes(sealed.read_bytes()[:kept])
    back.write_text("of yesterday")
    with pytest.raises(CiphertextError):
        job.lit.decrypt_file(sealed, back, session_for(job, container))
    assert back.read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "plain", "sealed"]


def test_a_changed_segment_in_the_middle_leaves_what_was_there(job: Job, plain: Path, tmp_path: Path) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    container = job.lit.encrypt_file(plain, sealed, job.conditions)
    changed = bytearray(sealed.read_bytes())
    changed[3 * SEGMENT_BYTES // 2] ^= 1
    sealed.write_bytes(changed)
    back.write_text("of yesterday")
    with pytest.raises(CiphertextError, match="from byte 1048520 of the plaintext"):
        job.lit.decrypt_file(sealed, back, session_for(job, container))
    assert back.read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "plain", "sealed"]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process can grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_what_was_there(job: Job, plain: Path, tmp_path: Path) -> None:
    sealed, again, back = (tmp_path / name for name in ("sealed", "again", "back"))
    container = job.lit.encrypt_file(plain, sealed, job.conditions)
    session = session_for(job, container)
    again.write_text("of yesterday")
    back.write_text("of yesterday")
    with room_for(SEGMENT_BYTES + SEGMENT_BYTES // 2):
        with pytest.raises(OSError, match="too large"):
            job.lit.encrypt_file(plain, again, job.conditions)
        with pytest.raises(OSError, match="too large"):
            job.lit.decrypt_file(sealed, back, session)
    assert again.read_text() == back.read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "back", "plain", "sealed"]


def test_a_file_that_is_no_envelope_is_said_to_be_none(job: Job, plain: Path, tmp_path: Path) -> None:
    before = len(job.net.requests)
    with pytest.raises(CiphertextError, match="not an envelope"):
        job.lit.decrypt_file(plain, tmp_path / "back", job.session)
    assert len(job.net.requests) == before


def test_conditions_that_do_not_validate_write_nothing(job: Job, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ConditionError):
        job.lit.encrypt_file(
            plain, tmp_path / "sealed", {"chain": "ethereum", "accessControlConditions": [{}]}
        )
    assert not (tmp_path / "sealed").exists()


def test_a_source_that_is_not_there_leaves_nothing(job: Job, tmp_path: Path) -> None:
    lit: LitClient = job.lit
    with pytest.raises(FileNotFoundError):
        lit.encrypt_file(tmp_path / "absent", tmp_path / "sealed", job.conditions)
    assert list(tmp_path.iterdir()) == []
