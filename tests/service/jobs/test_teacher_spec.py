import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec
from service.jobs.teacher_spec import origin_of
from service.rest.job_examples import EXAMPLE_WITH_REMOTE_TEACHER

BASE = {
    "student": {"model": "s"},
    "prompts": {"problems": {"source": "arithmetic"}},
}


def teacher_of(**fields):
    return parse_spec(BASE | {"teacher": {"model": "t"} | fields}).teacher


def violation_of(**fields):
    with pytest.raises(DriftgateError) as refusal:
        teacher_of(**fields)
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    return refusal.value.violations[0]


def test_a_teacher_is_the_workers_own_unless_an_endpoint_is_named():
    teacher = teacher_of()

    assert (teacher.endpoint, teacher.name_on_server) == (None, "t")


def test_the_name_on_the_server_is_the_models_unless_another_is_given():
    endpoint = "https://teacher.example/v1"

    assert teacher_of(endpoint=endpoint).name_on_server == "t"
    assert teacher_of(endpoint=endpoint, served_model="big").name_on_server == "big"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://teacher.example/v1",
        "http://127.0.0.1:8000/v1/",
        "http://[::1]:8000/v1",
        "https://gateway.example/team-a/qwen3/v1",
    ],
)
def test_a_base_url_of_a_server_is_taken(endpoint):
    assert teacher_of(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "teacher.example/v1",
        "ftp://teacher.example/v1",
        "file:///v1",
        "https://teacher.example",
        "https://teacher.example/v1/completions",
        "https://user:password@teacher.example/v1",
        "https://listed.example@evil.example/v1",
        "https://teacher.example/v1?x=1",
        "https://teacher.example/v1#x",
        "https://teacher.example/../v1",
        "https://teacher.example/%2e%2e/v1",
        "https://teacher.example\\@evil.example/v1",
        "https://teacher.example:0/v1",
        "https://teacher.example:99999/v1",
        "https://teacher .example/v1",
        "https://teacher.example/v1\n",
        f"https://{'a' * 300}.example/v1",
        "",
    ],
)
def test_what_is_no_base_url_of_a_server_is_refused(endpoint):
    assert violation_of(endpoint=endpoint).field == "teacher.endpoint"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"served_model": "big"}, "teacher.served_model"),
        ({"api_key": {"secret": "KEY"}}, "teacher.api_key"),
        ({"vocabulary": "server"}, "teacher.vocabulary"),
    ],
)
def test_what_only_an_endpoint_has_is_refused_without_one(fields, field):
    assert violation_of(**fields).field == field


@pytest.mark.parametrize("fields", [{"revision": "main"}, {"hub_token": {"secret": "HUB"}}])
def test_what_only_files_have_is_refused_where_none_are_read(fields):
    violation = violation_of(endpoint="https://a.example/v1", vocabulary="server", **fields)

    assert violation.field == f"teacher.{next(iter(fields))}"


def test_a_key_is_named_and_never_given():
    violation = violation_of(endpoint="https://a.example/v1", api_key="sk-hidden")

    assert violation.field == "teacher.api_key"


def test_a_student_is_on_no_server():
    with pytest.raises(DriftgateError) as refusal:
        parse_spec(
            BASE
            | {"teacher": {"model": "t"}, "student": {"model": "s", "endpoint": "https://a/v1"}}
        )
    assert refusal.value.violations[0].field == "student.endpoint"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Teacher.Example/v1", "https://teacher.example:443"),
        ("http://teacher.example", "http://teacher.example:80"),
        ("HTTP://[::1]:8000/a/v1", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["teacher.example:8000", "ftp://a", "https://", "https://a:b"])
def test_what_has_no_origin_is_an_error(url):
    with pytest.raises(ValueError, match=r".+"):
        origin_of(url)


def test_the_example_of_the_description_is_a_spec():
    teacher = parse_spec(EXAMPLE_WITH_REMOTE_TEACHER).teacher

    assert (teacher.name_on_server, teacher.api_key.secret) == ("teacher", "TEACHER_KEY")
