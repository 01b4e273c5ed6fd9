import types
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict
from pydantic import BaseModel

from service.errors import DriftgateError, ErrorCode
from service.jobs import (
    api_keys,
    catalogues,
    checkpoint_manifest,
    comparisons,
    datasets,
    export_spec,
    gate_simulations,
    gradient_fidelity,
    metric_queries,
    patches,
    results,
    studies,
    study_arms,
    study_verdicts,
    webhooks,
)
from service.jobs.parsing import parse_spec
from service.jobs.plans import Plan
from service.jobs.results import Failure, FieldViolation, Job, Progress, SpecWarning
from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, JobSpec, RegradeJobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.state import JobPhase, JobState
from service.jobs.teacher_spec import TeacherSpec
from service.rpc.convert import enum_prefix, job_message, message_of, spec_message
from service.rpc.generated.driftgate.v1 import (
    api_keys_pb2,
    catalogue_pb2,
    checkpoints_pb2,
    comparisons_pb2,
    datasets_pb2,
    evaluations_pb2,
    gate_simulations_pb2,
    jobs_pb2,
    metrics_pb2,
    results_pb2,
    spec_pb2,
    studies_pb2,
    webhooks_pb2,
)
from service.rpc.requests import job_states, spec_data

# Shapes that stand on the wire for a value of another kind; round trips cover them.
WIRE_SHAPES = {
    "driftgate.v1.Bound",
    "driftgate.v1.Counts",
    "driftgate.v1.NullableDoubles",
    "driftgate.v1.Strength",
    "google.protobuf.Struct",
    "google.protobuf.Timestamp",
    "google.protobuf.Value",
}

# One message for the models of a union, with the fields of all of them.
FLAT_UNIONS = {"driftgate.v1.JobSpec", "driftgate.v1.ModelSpec"}

SPECS = [JobSpec, EvaluationJobSpec, RegradeJobSpec, ExportJobSpec]

# One message for every model that a spec names, though only a teacher has all of its fields; and one for every kind of
# job, though a study's base is of one.
SHARED_MESSAGES = {
    "driftgate.v1.JobSpec": SPECS,
    "driftgate.v1.ModelSpec": [ModelSpec, TeacherSpec],
}


def parts_of(annotation: object) -> list[object]:
    """The annotation's own members: of Annotated, Optional, unions and tuples, and the values of dicts."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return parts_of(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType, tuple):
        return [part for argument in typing.get_args(annotation) for part in parts_of(argument)]
    if origin is dict:
        return parts_of(typing.get_args(annotation)[1])
    return [annotation]


def models_in(annotation: object) -> list[type[BaseModel]]:
    return [
        part
        for part in parts_of(annotation)
        if isinstance(part, type) and issubclass(part, BaseModel)
    ]


def choices_in(annotation: object) -> set[str] | None:
    """Names of a closed set of text, None for anything else."""
    choices: set[str] = set()
    for part in parts_of(annotation):
        if typing.get_origin(part) is typing.Literal:
            choices |= set(typing.get_args(part))
        if isinstance(part, type) and issubclass(part, StrEnum):
            choices |= {member.value for member in part}
    return choices or None


def differences(
    model: type[BaseModel], descriptor: Descriptor, *, discriminator: str | None = None
) -> Iterator[str]:
    """What the model and the message do not share, at any depth."""
    names = set(model.model_fields) - {discriminator}
    yield from differences_of_fields([model], descriptor, names=names)


def differences_of_fields(
    models: list[type[BaseModel]], descriptor: Descriptor, *, names: set[str]
) -> Iterator[str]:
    """`models` are those that the message stands for; a name may be in several of them."""
    if names != set(descriptor.fields_by_name):
        yield f"{descriptor.full_name}: {names ^ set(descriptor.fields_by_name)}"
        return
    for name in names:
        field = descriptor.fields_by_name[name]
        annotation = typing.Union[
            *(model.model_fields[name].annotation for model in models if name in model.model_fields)
        ]
        if field.enum_type is not None:
            prefix = enum_prefix(field.enum_type)
            values = {value.name.removeprefix(prefix).lower() for value in field.enum_type.values}
            if values - {"unspecified"} != choices_in(annotation):
                yield f"{field.full_name}: {values} but {choices_in(annotation)}"
        elif field.message_type is not None and field.message_type.full_name not in WIRE_SHAPES:
            yield from differences_of_messages(models_in(annotation), field.message_type)


def differences_of_messages(models: list[type[BaseModel]], descriptor: Descriptor) -> Iterator[str]:
    models = SHARED_MESSAGES.get(descriptor.full_name, models)
    if descriptor.GetOptions().map_entry:
        value = descriptor.fields_by_name["value"].message_type
        if value is not None and value.full_name not in WIRE_SHAPES:
            yield from differences_of_messages(models, value)
        return
    if len(models) == 1:
        yield from differences(models[0], descriptor)
        return
    if descriptor.full_name in FLAT_UNIONS:
        names = {name for model in models for name in model.model_fields}
        yield from differences_of_fields(models, descriptor, names=names)
        return
    discriminator = descriptor.oneofs[0].name
    by_tag = {model.model_fields[discriminator].default: model for model in models}
    if set(by_tag) != set(descriptor.fields_by_name):
        yield f"{descriptor.full_name}: {set(by_tag) ^ set(descriptor.fields_by_name)}"
        return
    for tag, model in by_tag.items():
        member = descriptor.fields_by_name[tag].message_type
        yield from differences(model, member, discriminator=discriminator)


def test_the_spec_and_its_message_have_the_same_fields_and_values_at_every_depth():
    assert list(differences_of_messages(SPECS, spec_pb2.JobSpec.DESCRIPTOR)) == []


VIEWS = [
    (Job, jobs_pb2.Job),
    (Plan, jobs_pb2.Plan),
    (results.JobPage, jobs_pb2.ListJobsResponse),
    (results.JobBatch, jobs_pb2.BatchGetJobsResponse),
    (results.JobChanges, jobs_pb2.ListChangesResponse),
    (results.JobEventPage, jobs_pb2.ListEventsResponse),
    (results.JobAttempts, jobs_pb2.ListAttemptsResponse),
    (results.JobMetrics, metrics_pb2.JobMetrics),
    (results.DriftMap, metrics_pb2.DriftMap),
    (gate_simulations.GateSimulation, gate_simulations_pb2.GateSimulation),
    (gradient_fidelity.GradientFidelity, results_pb2.GetGradientFidelityResponse),
    (metric_queries.MetricSeriesSet, results_pb2.QueryMetricsResponse),
    (metric_queries.LatestMetrics, results_pb2.GetLatestMetricsResponse),
    (results.JobResults, evaluations_pb2.JobResults),
    (results.SamplePage, results_pb2.ListSamplesResponse),
    (results.VerdictChanges, results_pb2.GetVerdictChangesResponse),
    (comparisons.Comparison, comparisons_pb2.Comparison),
    (comparisons.SamplePlan, comparisons_pb2.SamplePlan),
    (results.JobCheckpoints, checkpoints_pb2.ListCheckpointsResponse),
    (checkpoint_manifest.CheckpointContent, checkpoints_pb2.GetCheckpointResponse),
    (datasets.Dataset, datasets_pb2.Dataset),
    (datasets.DatasetPage, datasets_pb2.ListDatasetsResponse),
    (api_keys.NewApiKey, api_keys_pb2.CreateApiKeyResponse),
    (api_keys.NewApiKey, api_keys_pb2.RotateApiKeyResponse),
    (api_keys.ApiKeyPage, api_keys_pb2.ListApiKeysResponse),
    (api_keys.CurrentCaller, api_keys_pb2.GetCurrentCallerResponse),
    (webhooks.NewWebhook, webhooks_pb2.NewWebhook),
    (webhooks.WebhookPage, webhooks_pb2.ListWebhooksResponse),
    (webhooks.DeliveryDetail, webhooks_pb2.DeliveryDetail),
    (webhooks.DeliveryPage, webhooks_pb2.ListWebhookDeliveriesResponse),
    (results.MetricDescription, catalogue_pb2.MetricDescription),
    (catalogues.ModelCatalogue, catalogue_pb2.ListModelsResponse),
    (catalogues.BenchmarkCatalogue, catalogue_pb2.ListBenchmarksResponse),
    (studies.Study, studies_pb2.Study),
    (studies.StudyPage, studies_pb2.ListStudiesResponse),
    (studies.StudyEventPage, studies_pb2.ListStudyEventsResponse),
    (studies.StudyPlan, studies_pb2.StudyPlan),
    (study_verdicts.StudyVerdict, studies_pb2.StudyVerdict),
    (study_arms.ArmPreset, studies_pb2.StudyArmPreset),
]


@pytest.mark.parametrize(("view", "message"), VIEWS)
def test_a_view_and_its_message_have_the_same_fields_and_values_at_every_depth(view, message):
    assert list(differences(view, message.DESCRIPTOR)) == []


# A request to gRPC is the REST body and what stands elsewhere in REST.
BODIES = [
    (
        patches.JobPatch,
        jobs_pb2.UpdateJobRequest,
        {"job_id", "if_version", "removed_labels"},
    ),
    (api_keys.ApiKeyRequest, api_keys_pb2.CreateApiKeyRequest, set()),
    (api_keys.ApiKeyRotation, api_keys_pb2.RotateApiKeyRequest, {"key_id"}),
    (webhooks.WebhookSpec, webhooks_pb2.CreateWebhookRequest, set()),
    (
        webhooks.WebhookPatch,
        webhooks_pb2.UpdateWebhookRequest,
        {"webhook_id", "remove_description"},
    ),
    (
        export_spec.ExportRequest,
        checkpoints_pb2.ExportCheckpointRequest,
        {"job_id", "step", "request_id"},
    ),
]


@pytest.mark.parametrize(("body", "request_type", "besides"), BODIES)
def test_a_request_has_the_fields_of_the_body_and_those_of_the_address(body, request_type, besides):
    fields = set(request_type.DESCRIPTOR.fields_by_name)

    assert fields == set(body.model_fields) | besides
    assert set(body.model_fields) & besides == set()


def test_that_comparison_sees_what_differs_below_a_union():
    sources = models_in(JobSpec.model_fields["prompts"].annotation)[0].model_fields["problems"]
    (fewer,) = differences_of_messages(
        models_in(sources.annotation)[:2], spec_pb2.ProblemSource.DESCRIPTOR
    )
    assert "inline" in fewer
    (other,) = differences(Progress, jobs_pb2.FieldViolation.DESCRIPTOR)
    assert "total_steps" in other


MINIMAL = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
}

# Every field with a value that is not its default.
SAMPLED_TOKEN = {
    "name": "everything",
    "max_runtime_s": 3600,
    "labels": {"team": "distil", "empty": ""},
    "priority": 3,
    "student": {
        "model": "org/student",
        "revision": "main",
        "hub_token": {"secret": "HUB_TOKEN"},
    },
    "warm_start": {"job_id": "0199a", "step": 0},
    "teacher": {"model": "org/teacher", "revision": "v1.0"},
    "prompts": {
        "problems": {
            "source": "inline",
            "problems": [{"id": "1", "problem": "1+1", "answer": "2"}, {"id": "2", "problem": "x"}],
        },
        "format": {"instruction": "", "chat_template": "never"},
        "drop_overlapping": False,
    },
    "objective": {
        "type": "sampled_token",
        "advantage": "recomputed",
        "clip_range": None,
        "dual_clip": None,
    },
    "gate": {
        "granularity": "newline_span",
        "block_size": 32,
        "aggregation": "mean_abs",
        "kernel": "reciprocal",
        "strength": {"adaptive": 0.5},
        "normalization": "sequence",
        "direction": "emphasise",
        "min_span": 4,
        "max_span": 99,
        "threshold": 0.0,
        "ratio_bounds": [0.25, 4.0],
    },
    "steps": 7,
    "reuse": {"epochs": 3, "minibatches": 2},
    "rollout": {
        "prompts_per_step": 2,
        "samples_per_prompt": 6,
        "max_prompt_tokens": 100,
        "max_response_tokens": 200,
        "temperature": 0.7,
        "top_p": 0.95,
    },
    "optimizer": {
        "learning_rate": 3e-4,
        "weight_decay": 0.0,
        "beta1": 0.8,
        "beta2": 0.95,
        "epsilon": 1e-6,
        "gradient_clip_norm": 0.5,
        "schedule": {"type": "cosine", "warmup_updates": 4, "final_fraction": 0.25},
    },
    "lora": {"rank": 4, "alpha": 6.5, "target_modules": ["q_proj"]},
    "evaluation": {
        "benchmarks": [
            {
                "name": "held-out",
                "problems": {
                    "source": "arithmetic",
                    "num_problems": 9,
                    "min_operations": 2,
                    "max_operations": 3,
                    "seed": 2**63 - 1,
                },
                "format": {"instruction": "Think.", "chat_template": "never"},
                "samples_per_problem": 32,
            },
            {
                "name": "file",
                "problems": {"source": "file", "path": "a/b.jsonl"},
                "format": {"enable_thinking": False},
            },
            {"name": "own", "problems": {"source": "dataset", "dataset_id": "ds-" + "0f" * 16}},
            {"name": "aime24"},
        ],
        "samples_per_problem": 16,
        "k": [2, 4],
        "temperature": 0.6,
        "top_p": 0.5,
        "top_k": 7,
        "max_response_tokens": 77,
        "evaluate_teacher": True,
        "during_training": {"every_steps": 2, "max_problems": 3},
        "reverse_kl_problems": 9,
        "seed": 5,
    },
    "checkpoint": {"every_steps": 3, "keep_last": 1},
    "compute": {
        "device": "cpu",
        "dtype": "float32",
        "max_tokens_per_microbatch": 512,
        "rollout_batch_size": 3,
        "gradient_checkpointing": True,
        "engine": "transformers",
        "layout": "packed",
        "compile": True,
        "offload": "both",
    },
    "masked_token_ids": [0, 11],
    "drift_map_block_size": 8,
    "diagnostics": {
        "token_drift_updates": 0,
        "gradient_fidelity": {
            "num_batches": 3,
            "depths": [1, 5],
            "fresh_samples_per_prompt": 2,
        },
    },
    "seed": 2**62 + 1,
}
TEACHER_TOPK = MINIMAL | {
    "objective": {"type": "teacher_topk", "k": 5},
    "gate": {"strength": 0.25},
}
REMOTE_TEACHER = MINIMAL | {
    "teacher": {
        "model": "org/teacher",
        "endpoint": "https://teacher.example:8000/v1",
        "served_model": "teacher",
        "api_key": {"secret": "TEACHER_KEY"},
        "vocabulary": "server",
        "max_concurrent_requests": 3,
        "request_timeout_s": 20.5,
    }
}
CLIPPED = MINIMAL | {"objective": {"type": "sampled_token", "clip_range": 0.1, "dual_clip": 9.0}}
EVALUATION = {
    "kind": "evaluation",
    "name": "a model as it is",
    "model": {"model": "org/model", "revision": "v2"},
    "evaluation": {"benchmarks": [{"name": "math500"}], "profile": "qwen3-think"},
    "max_prompt_tokens": 99,
    "compute": {"device": "cpu"},
}
REGRADE = {"kind": "regrade", "labels": {"why": "new grader"}, "job_id": "0199a"}
EXPORT = {
    "kind": "export",
    "job_id": "0199a",
    "step": 0,
    "destination": {
        "type": "object_store",
        "url": "s3://models/first",
        "credentials": {"access_key_id": {"secret": "ID"}, "secret_access_key": {"secret": "KEY"}},
    },
}
EXPORT_TO_FOLDER = {
    "kind": "export",
    "job_id": "0199a",
    "step": 0,
    "destination": {"type": "folder", "path": "students/first"},
}
EXPORT_TO_STORE = EXPORT_TO_FOLDER | {
    "destination": {
        "type": "object_store",
        "url": "s3://models/first",
        "endpoint": "https://minio.example:9000",
        "region": "eu-1",
        "credentials": {"access_key_id": {"secret": "ID"}, "secret_access_key": {"secret": "KEY"}},
    },
}
EXPORT_TO_HUB = EXPORT_TO_FOLDER | {
    "destination": {"type": "hub", "repo_id": "a/b", "private": False, "token": {"secret": "T"}},
}


@pytest.mark.parametrize(
    "fields",
    [
        *(MINIMAL, SAMPLED_TOKEN, TEACHER_TOPK, REMOTE_TEACHER, CLIPPED, EVALUATION, REGRADE),
        *(EXPORT_TO_FOLDER, EXPORT_TO_STORE, EXPORT_TO_HUB),
        MINIMAL | {"resources": {"gpus": 4}},
    ],
)
def test_a_spec_comes_back_from_the_wire_as_it_went(fields):
    spec = parse_spec(fields)
    wire = spec_message(spec).SerializeToString()

    assert parse_spec(spec_data(spec_pb2.JobSpec.FromString(wire))) == spec


def test_the_full_spec_of_these_tests_leaves_no_field_at_its_default():
    minimal = JobSpec.model_validate(MINIMAL).model_dump()
    full = JobSpec.model_validate(SAMPLED_TOKEN).model_dump()

    # A distillation's kind has no other value; several GPUs do not go with all the rest.
    assert [name for name in minimal if minimal[name] == full[name]] == ["kind", "resources"]
    parts = ("gate", "reuse", "rollout", "optimizer", "evaluation", "checkpoint", "compute")
    assert [
        (part, name)
        for part in parts
        for name in minimal[part]
        if minimal[part][name] == full[part][name]
    ] == []


def test_what_is_not_set_on_the_wire_is_left_to_the_defaults():
    message = spec_pb2.JobSpec(
        student=spec_pb2.ModelSpec(model="s"),
        gate=spec_pb2.GateSpec(block_size=0),
        objective=spec_pb2.Objective(sampled_token=spec_pb2.SampledTokenObjective()),
    )

    assert spec_data(message) == {
        "student": {"model": "s"},
        "gate": {"block_size": 0},
        "objective": {"type": "sampled_token"},
    }


def test_a_union_without_a_choice_and_an_empty_inline_set_stay_visible():
    message = spec_pb2.JobSpec(
        objective=spec_pb2.Objective(),
        gate=spec_pb2.GateSpec(strength=spec_pb2.Strength()),
        prompts=spec_pb2.PromptsSpec(
            problems=spec_pb2.ProblemSource(inline=spec_pb2.InlineSource())
        ),
    )

    assert spec_data(message) == {
        "objective": {},
        "gate": {"strength": {}},
        "prompts": {"problems": {"source": "inline", "problems": []}},
    }


def test_unknown_enum_values_and_fields_are_refused_by_path():
    message = spec_pb2.JobSpec()
    message.gate.kernel = 99
    message.evaluation.benchmarks.add().format.chat_template = 7
    # Field 1000 of GateSpec, a varint: what a newer client may send.
    message.gate.MergeFromString(b"\xc0\x3e\x01")

    with pytest.raises(DriftgateError) as refusal:
        spec_data(message)

    assert refusal.value.code is ErrorCode.INVALID_SPEC
    assert {(violation.field, violation.given) for violation in refusal.value.violations} == {
        ("gate", "field number 1000"),
        ("gate.kernel", "99"),
        ("evaluation.benchmarks.0.format.chat_template", "7"),
    }
    allowed = {violation.field: violation.allowed for violation in refusal.value.violations}
    assert allowed["gate.kernel"] == "KERNEL_EXP, KERNEL_RECIPROCAL, KERNEL_HARD, KERNEL_RATIO"


def test_states_are_translated_and_unknown_ones_are_refused():
    every_number = [number for number in jobs_pb2.JobState.values() if number]
    assert set(job_states(every_number)) == set(JobState)

    for number in (0, 99):
        with pytest.raises(DriftgateError) as refusal:
            job_states([jobs_pb2.JOB_STATE_QUEUED, number])
        assert refusal.value.code is ErrorCode.INVALID_ARGUMENT
        assert refusal.value.violations[0].field == "states.1"


def test_a_job_keeps_its_times_its_failure_and_what_is_not_set():
    created = datetime(2026, 11, 22, 10, 0, 0, 123_456, tzinfo=UTC)
    job = Job(
        id="7f3",
        name=None,
        state=JobState.FAILED,
        phase=JobPhase.BASELINE_EVALUATION,
        progress=Progress(step=1, total_steps=2, update=3, total_updates=4),
        attempt=2,
        cancel_requested_at=None,
        failure=Failure(
            code=ErrorCode.OUT_OF_MEMORY,
            message="Out of memory.",
            violations=(FieldViolation(field="f", given="g", allowed="a"),),
        ),
        warnings=(SpecWarning(code="GATE_INERT", field="reuse", message="m"),),
        labels={"a": "b"},
        spec=JobSpec.model_validate(MINIMAL),
        spec_version=1,
        version=5,
        created_at=created,
        updated_at=created,
        started_at=created,
        finished_at=None,
    )

    message = job_message(job)

    assert message.created_at.ToDatetime(tzinfo=UTC) == created
    assert (message.state, message.phase) == (
        jobs_pb2.JOB_STATE_FAILED,
        jobs_pb2.JOB_PHASE_BASELINE_EVALUATION,
    )
    assert [message.HasField(name) for name in ("name", "cancel_requested_at", "finished_at")] == [
        False,
        False,
        False,
    ]
    assert (message.failure.code, message.failure.violations[0].given) == ("OUT_OF_MEMORY", "g")
    assert (message.warnings[0].field, dict(message.labels)) == ("reuse", {"a": "b"})
    assert (message.progress.total_updates, message.attempt, message.version) == (4, 2, 5)
    assert message.spec == spec_message(job.spec)


def test_a_column_keeps_what_is_not_finite_apart_from_what_is_not_there():
    message = message_of(
        metrics_pb2.JobMetrics,
        {
            "job_id": "1",
            "columns": {"a": (0.5, None, float("nan"), None, float("inf")), "b": (1.0,), "c": ()},
        },
    )

    column = message.columns["a"]
    assert [repr(value) for value in column.values] == ["0.5", "0.0", "nan", "0.0", "inf"]
    assert list(column.missing) == [1, 3]
    assert (list(message.columns["b"].values), list(message.columns["b"].missing)) == ([1.0], [])
    assert list(message.columns["c"].values) == []


def test_rows_keep_their_lengths():
    message = message_of(
        metrics_pb2.DriftMap,
        {"mean_drift_nats": ((0.5, None), ()), "num_tokens": ((3, 0), ())},
    )

    assert [list(row.values) for row in message.mean_drift_nats] == [[0.5, 0.0], []]
    assert [list(row.missing) for row in message.mean_drift_nats] == [[1], []]
    assert [list(row.values) for row in message.num_tokens] == [[3, 0], []]


def test_values_of_any_type_keep_it_and_large_whole_numbers_their_digits():
    values = (None, True, 2**53, 2**53 + 1, 0.5, "text", ("a", 1), {"b": None})

    message = message_of(comparisons_pb2.SpecDifference, {"field": "seed", "values": values})

    assert [MessageToDict(value) for value in message.values] == [
        None,
        True,
        2**53,
        "9007199254740993",
        0.5,
        "text",
        ["a", 1],
        {"b": None},
    ]
