import http.server
import traceback
from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec_fields import ModelSpec
from service.preflight import hub
from service.preflight.model_files import read_model_facts
from service.preflight.models import download_model, resolve_model, resolve_model_with_secret
from service.settings import Settings

MODEL = ModelSpec(model="Tiny/model")


def with_hub(settings: Settings, endpoint: str) -> Settings:
    return settings.model_copy(update={"hub_endpoint": endpoint})


def resolve_online(settings: Settings, endpoint: str) -> Path:
    return resolve_model(MODEL, settings=with_hub(settings, endpoint), field="student")


def test_an_unreachable_hub_is_refused_with_the_model_the_reason_and_what_to_do(settings):
    for locate in (resolve_model, download_model):
        with pytest.raises(DriftgateError) as refusal:
            locate(MODEL, settings=settings, field="teacher")

        assert refusal.value.code is ErrorCode.HUB_UNAVAILABLE
        assert "'Tiny/model' of teacher" in refusal.value.message
        assert "Connection refused" in refusal.value.message
        assert "Put a folder" in refusal.value.message


def test_a_hub_that_never_answers_is_given_up(settings, monkeypatch):
    monkeypatch.setattr(hub, "HUB_TIMEOUT_S", 0.2)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        endpoint = f"http://127.0.0.1:{silent.server_port}"
        with pytest.raises(DriftgateError) as refusal:
            resolve_online(settings, endpoint)

    assert refusal.value.code is ErrorCode.HUB_UNAVAILABLE
    assert "timed out" in refusal.value.message


def test_a_hub_that_never_answers_for_a_data_set_is_given_up(settings, monkeypatch):
    monkeypatch.setattr(hub, "HUB_TIMEOUT_S", 0.2)
    file = hub.DatasetFile("Tiny/set", "0" * 40, "test.jsonl")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        online = with_hub(settings, f"http://127.0.0.1:{silent.server_port}")
        with pytest.raises(DriftgateError) as refusal:
            hub.fetch_dataset_file(file, settings=online, field="f", advice="Bring a copy.")

    assert refusal.value.code is ErrorCode.HUB_UNAVAILABLE
    assert "'Tiny/set/test.jsonl' of f (commit 00000000): " in refusal.value.message
    assert "timed out" in refusal.value.message
    assert refusal.value.message.endswith("Bring a copy.")


def test_a_model_that_the_hub_does_not_know_is_not_found(settings, fake_hub):
    with pytest.raises(DriftgateError) as refusal:
        resolve_model(
            ModelSpec(model="Tiny/other"),
            settings=with_hub(settings, fake_hub.url),
            field="student",
        )

    assert refusal.value.code is ErrorCode.MODEL_NOT_FOUND


def test_submission_fetches_no_weights_and_the_worker_fetches_them_once(
    settings, fake_hub, make_model, tmp_path
):
    original = make_model("Tiny/model", root=tmp_path / "hub")
    online = with_hub(settings, fake_hub.url)

    described = resolve_model(MODEL, settings=online, field="student")
    assert {path.name for path in described.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }

    whole = download_model(MODEL, settings=online, field="student")
    weights = (whole / "model.safetensors").read_bytes()
    assert weights == (original / "model.safetensors").read_bytes()

    # `settings` has no hub: from here on only the cache can answer.
    assert resolve_model(MODEL, settings=settings, field="student") == whole
    assert download_model(MODEL, settings=settings, field="student") == whole


def test_a_chat_template_in_a_file_of_its_own_is_part_of_the_description(
    settings, make_model, fake_hub
):
    folder = make_model("Tiny/model", root=fake_hub.root)
    (folder / "chat_template.jinja").write_text("{{ messages }}")

    described = resolve_online(settings, fake_hub.url)

    facts = read_model_facts(described, reference="Tiny/model", field="student")
    assert facts.chat_template == "{{ messages }}"


def test_a_hub_model_without_safetensors_is_refused_before_anything_is_fetched(
    settings, fake_hub, make_model, tmp_path
):
    folder = make_model("Tiny/model", root=tmp_path / "hub")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(DriftgateError) as refusal:
        resolve_model(MODEL, settings=with_hub(settings, fake_hub.url), field="student")

    assert refusal.value.code is ErrorCode.MODEL_INVALID
    assert "no model.safetensors" in refusal.value.message
    assert not [path for path in fake_hub.paths if "resolve" in path]


def test_a_folder_below_the_model_root_stands_before_a_hub_id(settings, make_model):
    folder = make_model("Tiny/model")

    assert resolve_model(MODEL, settings=settings, field="student") == folder


@pytest.fixture
def private_hub(fake_hub, settings, make_model, monkeypatch):
    """A hub that gives out its model only to the token that the worker has; and the settings with it."""
    make_model("Tiny/model", root=fake_hub.root)
    fake_hub.token = "hf_hidden"
    monkeypatch.setenv("DRIFTGATE_SECRET_HUB_TOKEN", "hf_hidden")
    return fake_hub


PRIVATE_MODEL = ModelSpec.model_validate(
    {"model": "Tiny/model", "hub_token": {"secret": "HUB_TOKEN"}}
)


def test_a_private_model_is_not_asked_for_at_submission_although_the_secret_is_there(
    settings, private_hub
):
    online = with_hub(settings, private_hub.url)

    assert resolve_model(PRIVATE_MODEL, settings=online, field="student") is None
    assert private_hub.paths == []


def test_the_worker_reads_a_private_model_with_the_secret(settings, private_hub):
    online = with_hub(settings, private_hub.url)

    described = resolve_model_with_secret(PRIVATE_MODEL, settings=online, field="student")
    assert not (described / "model.safetensors").exists()
    whole = download_model(PRIVATE_MODEL, settings=online, field="student")
    assert (whole / "model.safetensors").exists()

    # From here on it is in the cache, where submission finds it too.
    assert resolve_model(PRIVATE_MODEL, settings=settings, field="student") == whole


def test_a_private_model_without_a_token_is_refused_and_told_how_to_name_one(settings, private_hub):
    refusal = refusal_of(resolve_online, settings, private_hub.url)

    assert refusal.code is ErrorCode.MODEL_NOT_FOUND
    assert "name the secret of a private model in student.hub_token" in refusal.message


@pytest.mark.parametrize("token", ["hf_wrong", "api_org_wrong"])
@pytest.mark.parametrize("locate", [resolve_model_with_secret, download_model])
def test_a_token_that_the_hub_does_not_take_is_refused_and_never_shown(
    settings, private_hub, monkeypatch, caplog, locate, token
):
    monkeypatch.setenv("DRIFTGATE_SECRET_HUB_TOKEN", token)
    online = with_hub(settings, private_hub.url)

    with caplog.at_level("DEBUG"):
        refusal = refusal_of(locate, PRIVATE_MODEL, settings=online, field="teacher")

    assert refusal.code is ErrorCode.MODEL_NOT_FOUND
    assert "the token in secret HUB_TOKEN may read" in refusal.message
    told = "".join(traceback.format_exception(refusal)) + repr(refusal) + caplog.text
    assert token not in told


def test_a_missing_secret_is_named_before_the_hub_is_asked(settings, private_hub, monkeypatch):
    monkeypatch.delenv("DRIFTGATE_SECRET_HUB_TOKEN")
    online = with_hub(settings, private_hub.url)

    for locate in (resolve_model_with_secret, download_model):
        refusal = refusal_of(locate, PRIVATE_MODEL, settings=online, field="teacher")
        assert refusal.code is ErrorCode.SECRET_NOT_FOUND
        assert refusal.violations[0].field == "teacher.hub_token"
    assert private_hub.paths == []


def test_a_model_that_is_not_allowed_stays_so_whatever_its_token(settings):
    model = PRIVATE_MODEL.model_copy(update={"model": "Other/model"})

    refusal = refusal_of(resolve_model, model, settings=settings, field="student")

    assert refusal.code is ErrorCode.MODEL_NOT_ALLOWED


def refusal_of(call, *arguments, **named):
    with pytest.raises(DriftgateError) as refusal:
        call(*arguments, **named)
    return refusal.value
