import pytest

from service.errors import DriftgateError, ErrorCode, Violation
from service.rpc.field_names import NAMES_IN_REQUESTS, in_names_of
from service.rpc.generated.driftgate.v1 import jobs_pb2, webhooks_pb2
from service.rpc.service_table import services

SEVERAL = jobs_pb2.BatchGetJobsRequest.DESCRIPTOR


def refusal(message, *fields):
    violations = [Violation(field, "given", "allowed") for field in fields]
    return DriftgateError(ErrorCode.RATE_LIMITED, message, violations, 2.5)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("job_id has 0 ids.", "job_ids has 0 ids."),
        ("job_id: given 'x'.", "job_ids: given 'x'."),
        ("job_ids are many.", "job_ids are many."),
        ("There is no job_id 'x'.", "There is no job_id 'x'."),
    ],
)
def test_a_message_that_begins_with_a_field_begins_with_the_name_of_the_request(message, expected):
    renamed = in_names_of(SEVERAL, refusal(message, "job_id"))

    assert renamed.message == expected
    assert renamed.violations == (Violation("job_ids", "given", "allowed"),)
    assert (renamed.code, renamed.retry_after_s) == (ErrorCode.RATE_LIMITED, 2.5)


def test_a_path_keeps_what_follows_its_first_part_and_every_violation_is_renamed():
    renamed = in_names_of(SEVERAL, refusal("key is wrong.", "state", "job_id.3", "job_id"))

    assert [each.field for each in renamed.violations] == ["state", "job_ids.3", "job_ids"]


@pytest.mark.parametrize(
    ("request_type", "field"),
    [
        (webhooks_pb2.ListWebhookDeliveriesRequest, "job_id"),
        (jobs_pb2.ListChangesRequest, "after"),
        (jobs_pb2.CreateJobRequest, "job_id"),
        (jobs_pb2.CreateJobRequest, "steps"),
    ],
)
def test_a_field_that_the_request_has_or_has_under_no_other_name_stays(request_type, field):
    error = refusal(f"{field} is wrong.", field)

    same = in_names_of(request_type.DESCRIPTOR, error)

    assert (same.message, same.violations) == (error.message, error.violations)


def test_every_name_is_one_that_a_request_of_the_contract_has(operations):
    names = {
        field
        for descriptor, _ in services(operations)
        for method in descriptor.methods
        for field in method.input_type.fields_by_name
    }

    assert set(NAMES_IN_REQUESTS.values()) <= names
