import jsonschema_rs
import pytest

BINARY = {"type": "string", "format": "binary"}


@pytest.fixture
def description(api):
    return api.get("/openapi.json").json()


def test_every_request_and_every_answer_has_an_example(description):
    shown = [(place, media) for place, media in _bodies(description) if not _is_binary(media)]
    assert len(shown) > len(description["paths"])
    assert [place for place, media in shown if not _examples(media)] == []


def test_every_example_of_a_body_is_of_the_schema_of_the_body(description):
    mistakes = [
        f"{place}: {mistake}"
        for place, media in _bodies(description)
        for example in _examples(media)
        for mistake in _mistakes(example, media["schema"], description)
    ]
    assert mistakes == []


def test_every_example_of_a_schema_is_of_it(description):
    parameters = [
        operation.get("parameters", [])
        for operations in description["paths"].values()
        for operation in operations.values()
    ]
    schemas = [*_with_examples(description["components"]["schemas"]), *_with_examples(parameters)]
    examples = [(example, schema) for schema in schemas for example in schema["examples"]]
    assert "HUB_TOKEN" in [example for example, _ in examples]
    assert ["train/loss"] in [example for example, _ in examples]
    assert [_mistakes(*each, description) for each in examples] == [[]] * len(examples)


def test_an_example_keeps_what_is_null_in_it(description):
    patch = description["paths"]["/v1/jobs/{job_id}"]["patch"]
    labels = patch["requestBody"]["content"]["application/json"]["examples"]["labels"]["value"]
    assert labels == {"labels": {"team": "maths", "draft": None}}


def _bodies(description):
    """Of every request and every answer of a success but 204: where it is, and what is said of it."""
    for addresses in (description["paths"], description["webhooks"]):
        for address, operations in addresses.items():
            for method, operation in operations.items():
                described = {"request": operation.get("requestBody", {"content": {}})} | {
                    status: answer
                    for status, answer in operation["responses"].items()
                    if status.startswith("2") and status != "204"
                }
                for name, body in described.items():
                    for media_type, media in body.get("content", {"nothing": {}}).items():
                        yield f"{method} {address} {name} {media_type}", media


def _is_binary(media):
    return media.get("schema") == BINARY


def _examples(media):
    named = [one["value"] for one in media.get("examples", {}).values()]
    return named + [media[name] for name in ("example",) if name in media]


def _with_examples(part):
    match part:
        case {"examples": list()}:
            yield part
        case dict():
            for value in part.values():
                yield from _with_examples(value)
        case list():
            for value in part:
                yield from _with_examples(value)


def _mistakes(example, schema, description):
    """What of an example its schema forbids, formats included."""
    whole = schema | {"components": description["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{one.instance_path}: {one.message[:200]}" for one in validator.iter_errors(example)]
