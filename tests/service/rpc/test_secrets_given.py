"""A secret where its name belongs is refused, and neither the answer nor the log says what it is."""

import grpc
import pytest

from service.rpc.convert import message_of
from service.rpc.generated.driftgate.v1 import (
    checkpoints_pb2,
    jobs_pb2,
    spec_pb2,
    studies_pb2,
    webhooks_pb2,
)
from tests.service.secrets_given import (
    EXPORT_REQUESTS,
    NUMBER,
    SPECS,
    STUDIES,
    URL_WITH_PASSWORD,
    bodies_with_urls,
    bodies_with_wrong_names,
)


@pytest.fixture(autouse=True)
def nothing_logged(caplog, capfd):
    caplog.set_level("DEBUG")
    yield
    assert str(NUMBER) not in caplog.text
    assert str(NUMBER) not in "".join(capfd.readouterr())


def assert_refused_and_not_shown(call, requests):
    said = [what_is_said(call, request) for request in requests]
    assert said
    assert [each for each in said if str(NUMBER) in each] == []


def what_is_said(call, request):
    """All that a refused call sends back: its message, and its trailers with the details."""
    with pytest.raises(grpc.RpcError) as refused:
        call(request)
    assert refused.value.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    return f"{refused.value.details()} {refused.value.trailing_metadata()}"


def test_no_refused_job_shows_a_secret(stubs):
    specs = [*bodies_with_wrong_names(SPECS), *bodies_with_urls()]
    assert_refused_and_not_shown(
        stubs.jobs.CreateJob,
        [jobs_pb2.CreateJobRequest(spec=message_of(spec_pb2.JobSpec, case.body)) for case in specs],
    )


def test_no_refused_study_shows_a_secret(stubs):
    assert_refused_and_not_shown(
        stubs.studies.CreateStudy,
        [
            studies_pb2.CreateStudyRequest(spec=message_of(studies_pb2.StudySpec, case.body))
            for case in bodies_with_wrong_names(STUDIES)
        ],
    )


def test_no_refused_export_shows_a_secret(stubs):
    assert_refused_and_not_shown(
        stubs.checkpoints.ExportCheckpoint,
        [
            message_of(
                checkpoints_pb2.ExportCheckpointRequest,
                case.body | {"job_id": "0" * 32, "step": "final"},
            )
            for case in bodies_with_wrong_names(EXPORT_REQUESTS)
        ],
    )


def test_no_refused_webhook_shows_the_password_of_its_url(stubs):
    assert_refused_and_not_shown(
        stubs.webhooks.CreateWebhook,
        [
            webhooks_pb2.CreateWebhookRequest(url=url)
            for url in (URL_WITH_PASSWORD, f"no url, but {URL_WITH_PASSWORD}")
        ],
    )
