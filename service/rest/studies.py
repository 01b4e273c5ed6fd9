"""/v1/studies: each endpoint translates one call of the operations."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response

from service.jobs.studies import Study, StudyEventPage, StudyPage, StudyPlan
from service.jobs.study_arms import ArmPreset, arm_presets
from service.jobs.study_spec import StudySpec
from service.jobs.study_verdicts import StudyVerdict
from service.operations import DEFAULT_NUM_EVENTS, DEFAULT_PAGE_SIZE, MAX_COUNT, MAX_PAGE_SIZE
from service.rest.answers import json_response
from service.rest.json_examples import json_example, request_examples
from service.rest.parameters import FromApp, FromCaller, IdempotencyKey, PageToken, problem
from service.rest.study_answer_examples import (
    EXAMPLE_CANCELLING,
    EXAMPLE_EVENT_PAGE,
    EXAMPLE_PAUSED,
    EXAMPLE_RESUMED,
    EXAMPLE_RUNNING,
    EXAMPLE_STUDY_PAGE,
    EXAMPLE_STUDY_PLAN,
    EXAMPLE_SUBMITTED,
)
from service.rest.study_examples import EXAMPLES
from service.rest.study_verdict_examples import EXAMPLE_VERDICT

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: problem("No study has this id.")}

router = APIRouter(
    prefix="/v1", tags=["studies"], responses={"default": problem("Any other error.")}
)

StudyId = Annotated[str, Path(description="32 hexadecimal digits.")]


@router.post(
    "/studies",
    status_code=201,
    response_model=Study,
    summary="Submit a study, or ask what it would take and could tell",
    response_description="The study, running. `Location` is its address.",
    responses={
        200: {
            "model": StudyPlan,
            "description": "With `validate_only`: the plan. Nothing was created.",
        }
        | json_example(EXAMPLE_STUDY_PLAN),
        201: json_example(EXAMPLE_SUBMITTED),
        400: problem("The body is not JSON."),
        404: problem("No job has the id that the base spec names."),
        409: problem("The idempotency key came with another spec before."),
        413: problem("The body is too large."),
        422: problem("The study cannot run; `violations` names each field."),
        503: problem("The database or the model hub does not answer."),
    },
)
def create_study(
    spec: Annotated[StudySpec, Body(openapi_examples=request_examples(EXAMPLES))],
    operations: FromApp,
    caller: FromCaller,
    idempotency_key: IdempotencyKey,
    validate_only: Annotated[  # noqa: FBT002 a query parameter has no position
        bool,
        Query(
            description="Check and plan only: cost, and what the seeds can resolve. Create nothing."
        ),
    ] = False,
) -> Response:
    """Arms × seeds of one base spec become ordinary jobs, at most `max_active_jobs` of them at any time.

    Every arm is checked as a job would be. The jobs carry the labels `study/id`, `study/arm` and `study/seed`.
    """
    if validate_only:
        return json_response(operations.plan_study(spec))
    study = operations.submit_study(spec, idempotency_key=idempotency_key, caller=caller)
    return json_response(study, status_code=201, headers={"Location": f"/v1/studies/{study.id}"})


@router.get(
    "/studies",
    response_model=StudyPage,
    summary="List studies, newest first",
    responses={200: json_example(EXAMPLE_STUDY_PAGE), 400: problem("A bad parameter.")},
)
def list_studies(
    operations: FromApp,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> Response:
    return json_response(operations.list_studies(limit=page_size, page_token=page_token))


@router.get(
    "/studies/{study_id:id}",
    response_model=Study,
    summary="A study with its runs",
    responses=NOT_FOUND | {200: json_example(EXAMPLE_RUNNING)},
)
def get_study(study_id: StudyId, operations: FromApp) -> Response:
    """Its progress is that of its jobs at this moment."""
    return json_response(operations.studies.get(study_id))


def _verb(
    name: str, summary: str, conflict: str, *, answer: Study
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return router.post(
        f"/studies/{{study_id:id}}:{name}",
        response_model=Study,
        summary=summary,
        responses=NOT_FOUND | {200: json_example(answer), 409: problem(conflict)},
    )


@_verb(
    "cancel",
    "Cancel a study with its jobs",
    "The study has already completed.",
    answer=EXAMPLE_CANCELLING,
)
def cancel_study(study_id: StudyId, operations: FromApp) -> Response:
    """Jobs that have ended keep their results. Asking again changes nothing."""
    return json_response(operations.studies.cancel(study_id))


@_verb(
    "pause",
    "Pause a study with its jobs",
    "The study has ended or is being cancelled.",
    answer=EXAMPLE_PAUSED,
)
def pause_study(study_id: StudyId, operations: FromApp) -> Response:
    """No further job is submitted, and those that wait or run pause. Asking again changes nothing."""
    return json_response(operations.studies.pause(study_id))


@_verb(
    "resume",
    "Resume a paused study",
    "The study has ended or is being cancelled.",
    answer=EXAMPLE_RESUMED,
)
def resume_study(study_id: StudyId, operations: FromApp) -> Response:
    """Its paused jobs wait again. Asking again resumes what is paused still."""
    return json_response(operations.studies.resume(study_id))


@router.delete(
    "/studies/{study_id:id}",
    status_code=204,
    summary="Delete a study that has ended",
    responses=NOT_FOUND | {409: problem("The study has not ended.")},
)
def delete_study(study_id: StudyId, operations: FromApp) -> None:
    """Its jobs stay, as jobs."""
    operations.studies.delete(study_id)


@router.get(
    "/studies/{study_id:id}/events",
    summary="History of a study, oldest first",
    responses=NOT_FOUND | {200: json_example(EXAMPLE_EVENT_PAGE)},
)
def list_study_events(
    study_id: StudyId,
    operations: FromApp,
    after: Annotated[int, Query(ge=0, le=MAX_COUNT, description="Only events after this seq.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_NUM_EVENTS,
) -> StudyEventPage:
    return operations.list_study_events(study_id, after=after, limit=limit)


@router.get(
    "/studies/{study_id:id}/verdict",
    response_model=StudyVerdict,
    summary="What a study found",
    responses=NOT_FOUND | {200: json_example(EXAMPLE_VERDICT)},
)
def get_study_verdict(study_id: StudyId, operations: FromApp) -> Response:
    """Arms over their seeds, the registered contrast, and all other differences to the baseline, adjusted after Holm.

    Intervals and p-values have a training seed as their unit. Before the study has ended, it is of the runs so far.
    """
    return json_response(operations.studies.verdict(study_id))


@router.get(
    "/study-presets",
    summary="Arms that go by name",
    responses={200: json_example([arm_presets()[0], arm_presets()[-1]])},
)
def list_study_presets(operations: FromApp) -> list[ArmPreset]:
    """The six published variants, then the controls."""
    return list(operations.studies.presets())
