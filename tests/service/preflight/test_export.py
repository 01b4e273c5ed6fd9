import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.export_spec import ExportRequest
from service.jobs.parsing import parse_spec
from service.preflight.export import check_destination, export_folder, find_exported
from service.storage.sessions import Database
from tests.saved_checkpoints import saved_job


@pytest.fixture
def settings(settings_factory, sqlite_url):
    return settings_factory(database_url=sqlite_url)


@pytest.fixture
def saved(settings, sqlite_url):
    database = Database(sqlite_url)
    yield saved_job(database, settings)
    database.close()


FOLDER = {"type": "folder", "path": "out"}
STORE = {"type": "object_store", "url": "s3://models/first"}
HUB = {"type": "hub", "repo_id": "team/student", "token": {"secret": "HUB_TOKEN"}}


def export_of(job_id, **fields):
    return parse_spec({"kind": "export", "job_id": job_id, "destination": FOLDER} | fields)


def destination(fields):
    return ExportRequest.model_validate({"destination": fields}).destination


def violation_of(call):
    with pytest.raises(DriftgateError) as refusal:
        call()
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    return refusal.value.violations[0]


def test_the_named_step_or_the_newest_is_exported(saved):
    stores = {"job_store": saved.jobs, "result_store": saved.results}
    assert find_exported(export_of(saved.job.id, step=2), **stores) == saved.checkpoints[2]
    assert find_exported(export_of(saved.job.id), **stores) == saved.checkpoints[4]


def test_a_step_or_a_job_that_is_not_there_is_refused(saved):
    stores = {"job_store": saved.jobs, "result_store": saved.results}
    missing = violation_of(lambda: find_exported(export_of(saved.job.id, step=3), **stores))
    assert (missing.field, missing.allowed.endswith("4, 2")) == ("step", True)
    export = saved.jobs.create(export_of(saved.job.id), warnings=(), queue="default")
    without = violation_of(lambda: find_exported(export_of(export.id), **stores))
    assert (without.field, "has no checkpoint" in without.given) == ("job_id", True)
    with pytest.raises(DriftgateError) as refusal:
        find_exported(export_of("0" * 32), **stores)
    assert refusal.value.code is ErrorCode.JOB_NOT_FOUND


def test_a_folder_may_be_absent_or_empty_but_holds_nothing(settings):
    out = settings.resolved_export_root() / "out"
    check_destination(destination(FOLDER), settings=settings)
    out.mkdir(parents=True)
    check_destination(destination(FOLDER), settings=settings)
    (out / "file").touch()
    assert (
        violation_of(lambda: check_destination(destination(FOLDER), settings=settings)).field
        == "destination.path"
    )
    (settings.resolved_export_root() / "file").touch()
    assert violation_of(
        lambda: check_destination(destination(FOLDER | {"path": "file"}), settings=settings)
    )


def test_a_link_does_not_lead_an_export_out_of_its_root(settings, tmp_path):
    root = settings.resolved_export_root()
    root.mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    below = destination(FOLDER | {"path": "out/students"})

    assert "link" in violation_of(lambda: export_folder(below, settings=settings)).given


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (STORE | {"url": "gs://models/first"}, "destination.url"),
        (STORE | {"endpoint": "http://169.254.169.254"}, "destination.endpoint"),
        (STORE | {"endpoint": "https://minio.example"}, "destination.endpoint"),
        (HUB | {"repo_id": "others/student"}, "destination.repo_id"),
    ],
)
def test_places_that_the_settings_do_not_allow_are_refused(settings, fields, field):
    strict = settings.model_copy(
        update={
            "export_url_allow": ("s3://models/*",),
            "export_endpoints": ("https://minio.example:9000/",),
            "export_hub_allow": ("team/*",),
        }
    )
    allowed = STORE | {"endpoint": "https://minio.example:9000"}
    for each in (STORE, allowed, HUB):
        check_destination(destination(each), settings=strict)

    refused = violation_of(lambda: check_destination(destination(fields), settings=strict))
    assert refused.field == field


def test_by_default_no_endpoint_is_allowed_and_every_known_store_is(settings):
    for url in (
        "s3://bucket/a",
        "gs://bucket/a",
        "az://box/a",
        "abfs://box@account.dfs.core.windows.net/a",
    ):
        check_destination(destination(STORE | {"url": url}), settings=settings)
    refused = violation_of(
        lambda: check_destination(
            destination(STORE | {"endpoint": "https://minio.example"}), settings=settings
        )
    )
    assert "DRIFTGATE_EXPORT_ENDPOINTS" in refused.allowed


@pytest.mark.parametrize(
    "path", ["", "/srv", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a\\b", "a b", "a" * 181, "a\n"]
)
def test_other_paths_are_no_folder(path):
    spec = {"kind": "export", "job_id": "a", "destination": FOLDER | {"path": path}}
    assert violation_of(lambda: parse_spec(spec)).field == "destination.path"


def test_an_address_is_read_in_its_parts():
    azure = destination(STORE | {"url": "abfs://box@account.dfs.core.windows.net/a/b/"})
    assert (azure.scheme, azure.bucket, azure.account, azure.prefix) == (
        "abfs",
        "box",
        "account",
        "a/b",
    )
    named = destination(STORE | {"url": "az://box/a", "account_name": "account"})
    assert (named.bucket, named.account, named.prefix) == ("box", "account", "a")


@pytest.mark.parametrize(
    "url",
    [
        "file:///srv/models",
        "https://bucket.example/models",
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/../models",
        "s3://bucket/a//b",
        "s3://bucket/.hidden",
        "s3://bucket/a?endpoint=b",
        "s3://bucket/a%2e%2e",
        "s3://user:password@bucket/a",
        "s3://bucket@account.dfs.core.windows.net/a",
        "abfs://box@evil.example/a",
        "s3://bucket/a\n",
    ],
)
def test_other_addresses_are_no_destination(url):
    spec = {"kind": "export", "job_id": "a", "destination": STORE | {"url": url}}
    assert violation_of(lambda: parse_spec(spec)).field == "destination.url"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "gs://bucket/a", "endpoint": "https://a.example"}, "endpoint"),
        ({"url": "az://box/a", "region": "eu-1"}, "region"),
        ({"account_name": "account"}, "account_name"),
        (
            {"url": "abfs://box@account.dfs.core.windows.net/a", "account_name": "other"},
            "account_name",
        ),
        ({"credentials": {"account_key": {"secret": "A"}}}, "credentials.account_key"),
        ({"credentials": {"access_key_id": {"secret": "A"}}}, "credentials.secret_access_key"),
        ({"credentials": {"session_token": {"secret": "A"}}}, "credentials.access_key_id"),
        ({"credentials": {"access_key_id": "AKIA"}}, "credentials.access_key_id"),
        ({"endpoint": "https://a.example/path"}, "endpoint"),
        ({"endpoint": "https://user@a.example"}, "endpoint"),
    ],
)
def test_fields_that_do_not_belong_together_are_refused_by_name(fields, field):
    spec = {"kind": "export", "job_id": "a", "destination": STORE | fields}
    assert violation_of(lambda: parse_spec(spec)).field == f"destination.{field}"
