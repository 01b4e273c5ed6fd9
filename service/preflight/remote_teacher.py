"""What can be said at submission of a teacher on a server: nothing here connects to it."""

from collections.abc import Iterator

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.loss_spec import TeacherTopKObjective
from service.jobs.results import SpecWarning
from service.jobs.spec import JobSpec
from service.jobs.teacher_spec import TeacherVocabulary, origin_of
from service.settings import Settings, is_loopback

# vLLM gives no more log-probs a token unless it is started with --max-logprobs.
DEFAULT_MAX_LOG_PROBS = 20


def check_remote_teacher(spec: JobSpec, *, settings: Settings) -> None:
    """Raises INVALID_SPEC for an address that is not listed, and for what a server does not give.

    The worker asks again, by its own settings: it is what connects there.
    """
    endpoint = spec.teacher.endpoint
    if endpoint is None:
        return
    if origin_of(endpoint) not in _listed_origins(settings):
        listed = ", ".join(settings.teacher_endpoints) or "none on this service"
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"teacher.endpoint is {endpoint}, whose address is not among those that jobs may name "
            f"({listed}). An administrator lists them in DRIFTGATE_TEACHER_ENDPOINTS, of the service and of its "
            "workers.",
            [Violation("teacher.endpoint", endpoint, listed)],
        )
    if spec.evaluation.evaluate_teacher:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            "evaluation.evaluate_teacher is true, but teacher.endpoint is set: the server scores tokens, and "
            "Driftgate does not sample from it, because its samples could not be repeated by seed. Set it to "
            "false, and evaluate the teacher in a job of kind 'evaluation' where its weights are.",
            [Violation("evaluation.evaluate_teacher", "true", "false, with teacher.endpoint")],
        )


def about_remote_teacher(spec: JobSpec) -> Iterator[SpecWarning]:
    """Nothing of a teacher whose weights the worker loads."""
    teacher, objective = spec.teacher, spec.objective
    if teacher.endpoint is None:
        return
    yield SpecWarning(
        code="TEACHER_IS_REMOTE",
        field="teacher.endpoint",
        message=f"{teacher.endpoint} was not asked anything yet: before it loads any weights the worker checks "
        f"that it serves {teacher.name_on_server!r} with the student's token ids and log-probs of the prompt, "
        "and the job fails then if it does not. Memory, FLOPs and time of the plan leave the teacher out.",
    )
    if teacher.vocabulary is TeacherVocabulary.SERVER:
        yield SpecWarning(
            code="TEACHER_FILES_NOT_READ",
            field="teacher.vocabulary",
            message="The teacher's chat template, its special tokens and the tokens that end its responses are "
            "compared with nothing: only its token ids are, by the worker.",
        )
    if isinstance(objective, TeacherTopKObjective) and objective.k > DEFAULT_MAX_LOG_PROBS:
        yield SpecWarning(
            code="TOP_K_ABOVE_SERVER_DEFAULT",
            field="objective.k",
            message=f"objective.k is {objective.k}, and vLLM gives at most {DEFAULT_MAX_LOG_PROBS} log-probs a "
            f"token unless it is started with --max-logprobs {objective.k} or more. The worker finds out before "
            "it loads any weights.",
        )
    host = origin_of(teacher.endpoint).partition("://")[2].rpartition(":")[0].strip("[]")
    if (
        teacher.api_key is not None
        and teacher.endpoint.startswith("http:")
        and not is_loopback(host)
    ):
        yield SpecWarning(
            code="TEACHER_KEY_IN_CLEAR",
            field="teacher.endpoint",
            message="The key of teacher.api_key goes to the server by plain http, where everyone on the way can "
            "read it. Use https.",
        )


def _listed_origins(settings: Settings) -> set[str]:
    """An entry that is no address allows nothing."""
    origins = set()
    for listed in settings.teacher_endpoints:
        try:
            origins.add(origin_of(listed))
        except ValueError:
            continue
    return origins
