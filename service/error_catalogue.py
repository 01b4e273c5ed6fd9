"""What each error code means to a transport: HTTP status, gRPC code, and whether to try again."""

from dataclasses import dataclass

from service.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """`grpc_code` is the canonical name; `retryable`: the same request may succeed later."""

    http_status: int
    grpc_code: str
    retryable: bool
    meaning: str


def _invalid(meaning: str) -> CatalogueEntry:
    return CatalogueEntry(422, "INVALID_ARGUMENT", retryable=False, meaning=meaning)


def _precondition(meaning: str) -> CatalogueEntry:
    return CatalogueEntry(422, "FAILED_PRECONDITION", retryable=False, meaning=meaning)


def _internal(meaning: str) -> CatalogueEntry:
    return CatalogueEntry(500, "INTERNAL", retryable=False, meaning=meaning)


CATALOGUE: dict[ErrorCode, CatalogueEntry] = {
    ErrorCode.INVALID_SPEC: _invalid(
        "The job spec breaks its own rules; violations name the fields."
    ),
    ErrorCode.INVALID_ARGUMENT: CatalogueEntry(
        400, "INVALID_ARGUMENT", retryable=False, meaning="The request is malformed."
    ),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: CatalogueEntry(
        415, "INVALID_ARGUMENT", retryable=False, meaning="The body is of another content type."
    ),
    ErrorCode.MODEL_NOT_FOUND: _precondition("The model does not exist where the spec points."),
    ErrorCode.MODEL_OUTSIDE_ROOT: _invalid("The model path leaves the model root."),
    ErrorCode.MODEL_NOT_ALLOWED: _invalid("The hub id is not on the allow list."),
    ErrorCode.MODEL_INVALID: _precondition("The model's files cannot be used."),
    # Not 503: this service answers, and clients that retry a 503 by themselves would wait for the hub.
    ErrorCode.HUB_UNAVAILABLE: CatalogueEntry(
        422, "FAILED_PRECONDITION", retryable=True, meaning="The model hub does not answer."
    ),
    ErrorCode.VOCABULARY_MISMATCH: _invalid("Teacher and student do not share their token ids."),
    ErrorCode.SUPPORT_TOO_LARGE: _invalid("The teacher support K exceeds the vocabulary."),
    ErrorCode.DATASET_NOT_FOUND: _precondition("The file does not exist below the dataset root."),
    ErrorCode.DATASET_OUTSIDE_ROOT: _invalid("The dataset path leaves the dataset root."),
    ErrorCode.DATASET_INVALID: _precondition("The dataset's content cannot be used."),
    ErrorCode.PROMPTS_EMPTY: _invalid("There is no prompt to train on or no problem to grade."),
    ErrorCode.PROMPT_TOO_LONG: _invalid("A prompt has more tokens than allowed."),
    ErrorCode.SECRET_NOT_FOUND: _precondition("The worker has no secret of this name."),
    ErrorCode.JOB_NOT_FOUND: CatalogueEntry(
        404, "NOT_FOUND", retryable=False, meaning="No job has this id."
    ),
    ErrorCode.STUDY_NOT_FOUND: CatalogueEntry(
        404, "NOT_FOUND", retryable=False, meaning="No study has this id."
    ),
    ErrorCode.RESOURCE_NOT_FOUND: CatalogueEntry(
        404,
        "NOT_FOUND",
        retryable=False,
        meaning="No checkpoint, data set, API key, webhook or delivery has this id.",
    ),
    ErrorCode.ROUTE_NOT_FOUND: CatalogueEntry(
        404, "UNIMPLEMENTED", retryable=False, meaning="The API has no such address."
    ),
    ErrorCode.METHOD_NOT_ALLOWED: CatalogueEntry(
        405, "UNIMPLEMENTED", retryable=False, meaning="The address has no such method."
    ),
    ErrorCode.JOB_STATE_CONFLICT: CatalogueEntry(
        409, "FAILED_PRECONDITION", retryable=False, meaning="The job's state does not allow it."
    ),
    ErrorCode.JOB_IN_USE: CatalogueEntry(
        409, "FAILED_PRECONDITION", retryable=True, meaning="A job that has not ended needs it."
    ),
    ErrorCode.NO_TOKEN_DRIFT: CatalogueEntry(
        409,
        "FAILED_PRECONDITION",
        retryable=False,
        meaning="The job has kept no drift by token, or none yet.",
    ),
    ErrorCode.STUDY_STATE_CONFLICT: CatalogueEntry(
        409, "FAILED_PRECONDITION", retryable=False, meaning="The study's state does not allow it."
    ),
    ErrorCode.VERSION_CONFLICT: CatalogueEntry(
        412, "ABORTED", retryable=False, meaning="The job has changed since it was read."
    ),
    ErrorCode.IDEMPOTENCY_CONFLICT: CatalogueEntry(
        409, "ALREADY_EXISTS", retryable=False, meaning="The key came with another request before."
    ),
    ErrorCode.PAYLOAD_TOO_LARGE: CatalogueEntry(
        413, "RESOURCE_EXHAUSTED", retryable=False, meaning="The request is larger than allowed."
    ),
    ErrorCode.RANGE_NOT_SATISFIABLE: CatalogueEntry(
        416, "OUT_OF_RANGE", retryable=False, meaning="The range lies beyond the end of the file."
    ),
    ErrorCode.UNAUTHENTICATED: CatalogueEntry(
        401, "UNAUTHENTICATED", retryable=False, meaning="An API key is needed."
    ),
    ErrorCode.PERMISSION_DENIED: CatalogueEntry(
        403, "PERMISSION_DENIED", retryable=False, meaning="The API key lacks the scope for it."
    ),
    ErrorCode.FORBIDDEN_ORIGIN: CatalogueEntry(
        403,
        "PERMISSION_DENIED",
        retryable=False,
        meaning="The request came through another host name or from another site's page.",
    ),
    ErrorCode.RATE_LIMITED: CatalogueEntry(
        429, "RESOURCE_EXHAUSTED", retryable=True, meaning="Too many requests in a short time."
    ),
    ErrorCode.QUOTA_EXCEEDED: CatalogueEntry(
        429,
        "RESOURCE_EXHAUSTED",
        retryable=True,
        meaning="As many queued jobs or open streams as allowed.",
    ),
    ErrorCode.WEBHOOK_TARGET_FORBIDDEN: _invalid("Webhooks may not go to this address."),
    ErrorCode.EXPORT_FAILED: CatalogueEntry(
        500, "INTERNAL", retryable=False, meaning="The destination did not take the checkpoint."
    ),
    ErrorCode.DATABASE_UNAVAILABLE: CatalogueEntry(
        503, "UNAVAILABLE", retryable=True, meaning="The database does not answer."
    ),
    ErrorCode.ARTIFACTS_UNAVAILABLE: CatalogueEntry(
        503,
        "UNAVAILABLE",
        retryable=True,
        meaning="The artifact store does not answer, refuses, or is full.",
    ),
    ErrorCode.TEACHER_UNAVAILABLE: CatalogueEntry(
        503, "UNAVAILABLE", retryable=True, meaning="The teacher's server does not answer."
    ),
    ErrorCode.TEACHER_INVALID: _precondition(
        "The teacher's server cannot give what the job needs, or gave something else."
    ),
    ErrorCode.LEASE_LOST: CatalogueEntry(
        409, "ABORTED", retryable=False, meaning="Another attempt has the job."
    ),
    ErrorCode.NON_FINITE_LOSS: _internal("The loss was NaN or infinite; the step is named."),
    ErrorCode.ENGINE_OUT_OF_SYNC: _internal(
        "The rollout engine did not give the trainer's log-probs after it took over the weights."
    ),
    ErrorCode.CHECKPOINT_CORRUPT: CatalogueEntry(
        500, "DATA_LOSS", retryable=False, meaning="A checkpoint differs from its manifest."
    ),
    ErrorCode.OUT_OF_MEMORY: CatalogueEntry(
        500, "RESOURCE_EXHAUSTED", retryable=False, meaning="The job needs more memory."
    ),
    ErrorCode.DISK_FULL: CatalogueEntry(
        500, "RESOURCE_EXHAUSTED", retryable=False, meaning="The worker has no room for the model."
    ),
    ErrorCode.POISON_QUARANTINED: _internal("The job ended too many attempts without progress."),
    ErrorCode.DEADLINE_EXCEEDED: CatalogueEntry(
        500,
        "DEADLINE_EXCEEDED",
        retryable=False,
        meaning="The job did not end within its max_runtime_s.",
    ),
    ErrorCode.UNSAFE_BIND: CatalogueEntry(
        500,
        "FAILED_PRECONDITION",
        retryable=False,
        meaning="A server without API keys may only listen on this machine.",
    ),
    ErrorCode.INTERNAL: _internal("A defect of the service; its log has the details."),
}
