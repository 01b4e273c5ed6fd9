import pickle
from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec_fields import SecretRef
from service.secret_values import secret_value, token_value
from service.settings import Settings

REFERENCE = SecretRef(secret="HUB_TOKEN")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(secrets_dir=tmp_path)


def text_of(settings: Settings) -> str:
    return secret_value(REFERENCE, settings=settings, field="f").get_secret_value()


def refusal_of(settings: Settings, *, read=secret_value) -> DriftgateError:
    with pytest.raises(DriftgateError) as refusal:
        read(REFERENCE, settings=settings, field="student.hub_token")
    assert refusal.value.code is ErrorCode.SECRET_NOT_FOUND
    assert refusal.value.violations[0].field == "student.hub_token"
    return refusal.value


def test_a_file_is_read_without_its_last_line_end_and_stands_before_the_environment(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("DRIFTGATE_SECRET_HUB_TOKEN", "of the environment")
    assert text_of(settings) == "of the environment"

    (tmp_path / "HUB_TOKEN").write_bytes(b"of the file\r\n")
    assert text_of(settings) == "of the file"


def test_without_a_folder_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("DRIFTGATE_SECRET_HUB_TOKEN", "value\n")

    assert text_of(Settings()) == "value"


def test_a_key_of_several_lines_is_a_secret_and_no_token(settings, tmp_path):
    (tmp_path / "HUB_TOKEN").write_text('{\n"key": "ä"\n}\n')

    assert text_of(settings) == '{\n"key": "ä"\n}'
    assert "not one line of printable ASCII" in refusal_of(settings, read=token_value).message


def test_a_link_is_followed_as_orchestrators_make_them(settings, tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "value").write_text("linked")
    (tmp_path / "HUB_TOKEN").symlink_to(tmp_path / "..data" / "value")

    assert text_of(settings) == "linked"


def test_a_secret_that_is_not_there_is_refused_with_the_places_where_it_was_looked_for(
    settings, tmp_path
):
    message = refusal_of(settings).message
    assert "Secret HUB_TOKEN of student.hub_token is not there." in message
    assert f"file {tmp_path / 'HUB_TOKEN'}" in message
    assert "DRIFTGATE_SECRET_HUB_TOKEN" in message

    assert "DRIFTGATE_SECRETS_DIR is not set" in refusal_of(Settings()).message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty or has more than 65,536 bytes"),
        (b"\n", "is empty"),
        (b"x" * 65_537, "has more than 65,536 bytes"),
        (b"hf_hidden\xff", "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(settings, tmp_path, content, reason):
    (tmp_path / "HUB_TOKEN").write_bytes(content)

    refusal = refusal_of(settings)
    assert reason in refusal.message
    assert refusal.__cause__ is None


def test_what_cannot_be_read_is_refused(settings, tmp_path):
    (tmp_path / "HUB_TOKEN").mkdir()

    assert "cannot be read (Is a directory)" in refusal_of(settings).message


@pytest.mark.parametrize(
    "content", ["hf_hidden two", "hf_hidden\nX-Header: 1", "hf_hiddené", "\x00"]
)
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(
    settings, tmp_path, content
):
    (tmp_path / "HUB_TOKEN").write_text(content)

    refusal = refusal_of(settings, read=token_value)

    assert "hidden" not in str(refusal)
    assert "hidden" not in repr(refusal)


def test_a_token_shows_in_no_text_of_it(settings, tmp_path):
    (tmp_path / "HUB_TOKEN").write_text("hf_hidden")
    token = token_value(REFERENCE, settings=settings, field="f")

    assert token.get_secret_value() == "hf_hidden"
    assert "hidden" not in f"{token} {token!r} {[token]} {REFERENCE!r}"


@pytest.mark.parametrize(
    "name", ["", "lower", "1ST", "_A", "A" * 64, "A/B", "..", "../A", "A\n", "A\x00", "Ä"]
)
def test_a_name_that_could_be_a_path_is_no_secret(name):
    with pytest.raises(ValueError, match="secret"):
        SecretRef(secret=name)


def test_a_refusal_survives_its_way_out_of_the_child_process(settings):
    refusal = refusal_of(settings)

    assert pickle.loads(pickle.dumps(refusal)).message == refusal.message
