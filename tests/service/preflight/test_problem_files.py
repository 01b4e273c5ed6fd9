import os

import pytest

from service.datasets import DatasetOperations
from service.errors import DriftgateError, ErrorCode
from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import DatasetSource, Problem
from service.preflight.checks import check
from service.preflight.plan import make_plan
from service.preflight.problem_files import dataset_file
from service.preflight.problems import load_benchmark, load_problems
from service.storage.dataset_store import DatasetStore
from service.storage.sessions import Database

ANSWERED = (
    b'{"id": 1, "problem": "1+1", "answer": 2}\n\n{"id": "b", "problem": "2+2", "answer": "4"}'
)
UNANSWERED = b'\xef\xbb\xbf{"problem": "1+1"}\r\n{"problem": "2+2", "answer": "4"}\r\n'


@pytest.fixture
def upload(settings, sqlite_url):
    database = Database(sqlite_url)
    operations = DatasetOperations(store=DatasetStore(database), settings=settings)
    yield lambda content: DatasetSource(dataset_id=operations.upload(iter([content])).id)
    database.close()


def load(source, settings, *, graded=False):
    return load_problems(source, settings=settings, split="s", field="f", graded=graded)


def refusal_of(call, *arguments, **named):
    with pytest.raises(DriftgateError) as refusal:
        call(*arguments, **named)
    return refusal.value


def test_an_uploaded_set_is_read_as_a_file_of_the_same_rows(settings, upload):
    assert load(upload(UNANSWERED), settings) == (
        Problem(id="line-1", problem="1+1"),
        Problem(id="line-2", problem="2+2", answer="4"),
    )
    assert load(upload(ANSWERED), settings, graded=True) == (
        Problem(id="1", problem="1+1", answer="2"),
        Problem(id="b", problem="2+2", answer="4"),
    )


def test_a_benchmark_of_an_uploaded_set_without_an_answer_is_refused_by_its_line(settings, upload):
    source = upload(ANSWERED + b'\n{"id": "c", "problem": "3+3"}')
    benchmark = BenchmarkSpec(name="sums", problems=source)

    refusal = refusal_of(load_benchmark, benchmark, settings=settings, field="f")

    assert refusal.code is ErrorCode.DATASET_INVALID
    assert refusal.message == f"Line 4 of {source.dataset_id!r} (f) has no `answer`."


def test_under_a_published_name_an_uploaded_set_has_to_be_the_published_problems(settings, upload):
    source = upload(ANSWERED)
    benchmark = BenchmarkSpec(name="aime24", problems=source)

    refusal = refusal_of(load_benchmark, benchmark, settings=settings, field="f")

    assert refusal.code is ErrorCode.DATASET_INVALID
    assert f"Line 1 of {source.dataset_id!r} (f) is none of the 30 problems" in refusal.message


def test_a_set_that_is_not_there_is_refused_by_its_field(settings):
    source = DatasetSource(dataset_id="ds-" + "0" * 32)

    refusal = refusal_of(load, source, settings)

    assert refusal.code is ErrorCode.DATASET_NOT_FOUND
    assert refusal.violations[0].field == "f.dataset_id"
    assert source.dataset_id in refusal.message


def test_a_file_that_was_altered_is_refused_and_read_again_once_it_is_repaired(settings, upload):
    source = upload(ANSWERED)
    assert len(load(source, settings)) == 2
    path = dataset_file(source.dataset_id, settings=settings)
    status = path.stat()
    path.write_bytes(ANSWERED.replace(b"4", b"5"))  # as long as before
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    refusal = refusal_of(load, source, settings)
    assert refusal.code is ErrorCode.DATASET_INVALID
    assert "is not what was uploaded" in refusal.message

    assert upload(ANSWERED) == source
    assert len(load(source, settings)) == 2


@pytest.mark.parametrize(
    "dataset_id", ["", "ds-", "../x", "ds-" + "G" * 32, "ds-" + "0" * 33, "ds-\n"]
)
def test_an_id_that_could_be_a_path_is_no_source(dataset_id):
    with pytest.raises(ValueError, match="dataset_id"):
        DatasetSource(dataset_id=dataset_id)


def test_a_job_on_uploaded_sets_is_checked_and_planned(settings, make_model, spec_of, upload):
    make_model("student")
    make_model("teacher")
    prompts, problems = upload(UNANSWERED), upload(ANSWERED)
    spec = spec_of(
        prompts={"problems": prompts.model_dump(), "format": {"chat_template": "never"}},
        evaluation={
            "benchmarks": [{"name": "sums", "problems": problems.model_dump()}],
            "max_response_tokens": 128,
        },
    )

    findings = check(spec, settings)

    assert findings.num_benchmark_problems == (2,)
    (repeated,) = findings.warnings
    assert (repeated.code, "there are only 2" in repeated.message) == (
        "PROMPTS_REPEAT_WITHIN_STEP",
        True,
    )
    assert make_plan(spec, findings, rate=None).spec.prompts.problems == prompts

    dataset_file(prompts.dataset_id, settings=settings).unlink()
    refusal = refusal_of(check, spec, settings)
    assert refusal.code is ErrorCode.DATASET_NOT_FOUND
    assert refusal.violations[0].field == "prompts.problems.dataset_id"
