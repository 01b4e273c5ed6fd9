"""The teacher of an attempt where a server has its weights: allowed, checked, and not before any of ours are loaded."""

import logging

from service.jobs.records import AttemptEvent
from service.jobs.spec import JobSpec
from service.jobs.teacher_spec import TeacherVocabulary
from service.preflight.checks import model_facts_with_secret
from service.preflight.models import resolve_model_with_secret
from service.preflight.remote_teacher import check_remote_teacher
from service.secret_values import token_value
from worker.attempt import Attempt
from worker.remote_teacher.exchange import Server
from worker.remote_teacher.probe import Needs, check_server
from worker.remote_teacher.teacher import RemoteTeacher
from worker.remote_teacher.vocabulary import check_token_texts
from worker.training.models import load_tokenizer
from worker.training.teacher import support_size


def connect_teacher(attempt: Attempt, spec: JobSpec) -> RemoteTeacher:
    """The teacher, once its server has shown that it can be one.

    Raises what submission would, SECRET_NOT_FOUND, TEACHER_INVALID, VOCABULARY_MISMATCH, TEACHER_UNAVAILABLE and
    StopRequestedError.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for every request
    # By this worker's own settings: it is what connects there.
    check_remote_teacher(spec, settings=attempt.settings)
    server = _server(attempt, spec)
    k = support_size(spec.objective)
    student = model_facts_with_secret(spec.student, settings=attempt.settings, field="student")
    tokenizer = load_tokenizer(
        resolve_model_with_secret(spec.student, settings=attempt.settings, field="student")
    )
    longest = spec.rollout.max_prompt_tokens + spec.rollout.max_response_tokens
    found = [
        check_server(server, Needs(k, longest=longest, vocab_size=student.vocab_size)),
        check_token_texts(
            server,
            num_tokens=len(tokenizer),
            decode=lambda token_ids: str(tokenizer.decode(list(token_ids))),
            is_required=spec.teacher.vocabulary is TeacherVocabulary.SERVER,
        ),
    ]
    attempt.recorder.record_now(AttemptEvent("teacher_checked", " ".join(found)))
    return RemoteTeacher(server, support_size=k)


def _server(attempt: Attempt, spec: JobSpec) -> Server:
    teacher, settings = spec.teacher, attempt.settings
    assert teacher.endpoint is not None
    key = None
    if teacher.api_key is not None:
        key = token_value(teacher.api_key, settings=settings, field="teacher.api_key")
    return Server(
        url=teacher.endpoint,
        model=teacher.name_on_server,
        api_key=None if key is None else key.get_secret_value(),
        max_concurrent_requests=teacher.max_concurrent_requests,
        timeout_s=teacher.request_timeout_s,
        patience_s=settings.teacher_patience_s,
        stop=attempt.stop,
        report=lambda type_, message: _record(attempt, type_, message),
    )


def _record(attempt: Attempt, type_: str, message: str) -> None:
    attempt.recorder.record_now(AttemptEvent(type_, message))
