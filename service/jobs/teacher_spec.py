"""The model that a student learns from: its weights are the worker's, or a server's that scores tokens for it."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from service.jobs.spec_fields import ModelReference, ModelSpec, SecretRef
from service.jobs.text_patterns import TEACHER_ENDPOINT

MAX_PORT = 65_535
DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """`scheme://host:port` in lower case, the port always named. Raises ValueError where it cannot be read."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in DEFAULT_PORTS or not host:
        raise ValueError("http:// or https://, and a host")
    port = DEFAULT_PORTS[scheme] if parts.port is None else parts.port
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _with_readable_port(url: str) -> str:
    try:
        port = urlsplit(url).port  # raises ValueError beyond MAX_PORT
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"a port from 1 to {MAX_PORT}")
    return url


EndpointUrl = Annotated[
    str,
    StringConstraints(
        max_length=300,
        pattern=TEACHER_ENDPOINT,
    ),
    AfterValidator(_with_readable_port),
]


class TeacherVocabulary(StrEnum):
    """What says which token each id of a server's model is."""

    FILES = "files"
    SERVER = "server"


class TeacherSpec(ModelSpec):
    """Without an endpoint the worker loads the model; with one it asks a vLLM server for its log-probs.

    The other fields here are those of an endpoint.
    """

    endpoint: EndpointUrl | None = Field(
        default=None,
        description="Base URL of a vLLM server, such as `https://teacher.example:8000/v1`, whose address the "
        "service's settings list. `model` then names files with the server model's tokenizer.",
    )
    served_model: ModelReference | None = Field(
        default=None, description="The model's name on the server; `model` when null."
    )
    api_key: SecretRef | None = Field(
        default=None,
        description="Of the server, where it wants one; only the worker has its value.",
    )
    vocabulary: TeacherVocabulary = Field(
        default=TeacherVocabulary.FILES,
        description="`files`: the tokenizer files of `model` are compared with the student's at submission, and "
        "the worker asks the server besides. `server`: no files are needed, and the worker compares the text "
        "of every token id with what the server says.",
    )
    max_concurrent_requests: int = Field(
        default=8, ge=1, le=256, description="That the job has under way at the server at once."
    )
    request_timeout_s: float = Field(
        default=300.0,
        ge=1,
        le=3600,
        description="Of one request, after which it is tried again; its longest has 8,192 tokens or one sequence.",
    )

    @property
    def name_on_server(self) -> str:
        return self.served_model or self.model

    @model_validator(mode="after")
    def _check_endpoint_is_there(self) -> "TeacherSpec":
        if self.endpoint is not None:
            return self
        for name, is_given in (
            ("served_model", self.served_model is not None),
            ("api_key", self.api_key is not None),
            ("vocabulary", self.vocabulary is TeacherVocabulary.SERVER),
        ):
            if is_given:
                raise ValueError(f"{name} is set, but has no meaning without endpoint")
        return self

    @model_validator(mode="after")
    def _check_files_are_meant(self) -> "TeacherSpec":
        if self.vocabulary is TeacherVocabulary.SERVER:
            for name in ("revision", "hub_token"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is set, but vocabulary 'server' reads no files")
        return self
