import subprocess
import sys

import pytest

from service.errors import DriftgateError, ErrorCode
from service.preflight.checks import check
from tests.service.preflight.published_copies import folder_of_copies, needs_copies

SYMBOLS = ["<pad>", "<eos>", "\n", *"0123456789"]
ARITHMETIC = {"source": "arithmetic", "num_problems": 20}


def refusal_of(spec, settings):
    with pytest.raises(DriftgateError) as refusal:
        check(spec, settings)
    return refusal.value


@pytest.fixture
def models(make_model):
    make_model("student")
    make_model("teacher")


@pytest.mark.usefixtures("models")
def test_a_sound_spec_passes_without_a_warning(settings, spec_of):
    assert check(spec_of(), settings).warnings == ()


def test_swapped_token_ids_are_refused_and_named(settings, make_model, spec_of):
    make_model("student", symbols=SYMBOLS)
    make_model("teacher", symbols=["<pad>", "<eos>", "\n", *"0213456789"])

    refusal = refusal_of(spec_of(), settings)

    assert refusal.code is ErrorCode.VOCABULARY_MISMATCH
    assert refusal.message.startswith("2 tokens differ")
    assert "'1' (student 4, teacher 5), '2' (student 5, teacher 4)" in refusal.message
    assert refusal.violations[0].field == "teacher.model"


def test_a_token_that_only_the_teacher_has_is_refused(settings, make_model, spec_of):
    make_model("student", symbols=SYMBOLS, config={"vocab_size": 64})
    make_model("teacher", symbols=[*SYMBOLS, "+"], config={"vocab_size": 64})

    assert "'+' (student none, teacher 13)" in refusal_of(spec_of(), settings).message


def test_a_teacher_with_more_logits_than_the_student_is_refused(settings, make_model, spec_of):
    make_model("student", config={"vocab_size": 64})
    make_model("teacher", config={"vocab_size": 72})

    refusal = refusal_of(spec_of(), settings)

    assert refusal.code is ErrorCode.VOCABULARY_MISMATCH
    assert "token ids 64 to 71 have no student logit" in refusal.message


def test_a_missing_teacher_is_refused_by_field(settings, make_model, spec_of):
    make_model("student")

    refusal = refusal_of(spec_of(), settings)

    assert refusal.code is ErrorCode.MODEL_NOT_FOUND
    assert refusal.violations[0].field == "teacher.model"


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"objective": {"type": "teacher_topk", "k": 40}}, "SUPPORT_TOO_LARGE", "objective.k"),
        ({"masked_token_ids": [39]}, "INVALID_SPEC", "masked_token_ids"),
        (
            {"prompts": {"problems": {"source": "inline", "problems": []}}},
            "PROMPTS_EMPTY",
            "prompts.problems",
        ),
        (
            {"prompts": {"problems": {"source": "file", "path": "absent.jsonl"}}},
            "DATASET_NOT_FOUND",
            "prompts.problems.path",
        ),
        (
            {
                "prompts": {
                    "problems": {
                        "source": "arithmetic",
                        "num_problems": 1_000_000,
                        "min_operations": 1,
                        "max_operations": 3,
                    }
                }
            },
            "DATASET_INVALID",
            "prompts.problems.num_problems",
        ),
        (
            {
                "evaluation": {
                    "max_response_tokens": 128,
                    "benchmarks": [
                        {"name": "first", "problems": ARITHMETIC},
                        {
                            "name": "second",
                            "problems": {
                                "source": "inline",
                                "problems": [{"id": "q", "problem": "1+1"}],
                            },
                        },
                    ],
                }
            },
            "DATASET_INVALID",
            "evaluation.benchmarks.1.problems",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_code_and_field(settings, spec_of, changes, code, field):
    refusal = refusal_of(spec_of(**changes), settings)

    assert refusal.code == code
    assert refusal.violations[0].field == field


@pytest.mark.usefixtures("models")
def test_a_support_of_the_whole_vocabulary_is_allowed(settings, spec_of):
    assert check(spec_of(objective={"type": "teacher_topk", "k": 39}), settings).warnings == ()


def test_a_student_that_could_never_end_a_response_is_refused(settings, make_model, spec_of):
    folder = make_model("student", config={"eos_token_id": None})
    (folder / "tokenizer_config.json").unlink()
    make_model("teacher")

    refusal = refusal_of(spec_of(), settings)

    assert refusal.code is ErrorCode.MODEL_INVALID
    assert refusal.violations[0].field == "student.model"
    assert "no EOS token" in refusal.message


def test_every_length_that_does_not_fit_is_refused_with_the_numbers(settings, make_model, spec_of):
    make_model("student", config={"max_position_embeddings": 192})
    make_model("teacher", config={"max_position_embeddings": 191})
    evaluation = {
        "benchmarks": [{"name": "chains", "problems": ARITHMETIC}],
        "max_response_tokens": 129,
        "evaluate_teacher": True,
    }

    refusal = refusal_of(spec_of(evaluation=evaluation), settings)

    # 64 prompt tokens + 128 are 192: too many for the teacher; 64 + 129 are too many for both.
    assert refusal.code is ErrorCode.INVALID_SPEC
    assert [(violation.field, violation.given) for violation in refusal.violations] == [
        ("rollout.max_response_tokens", "128"),
        ("evaluation.max_response_tokens", "129"),
        ("evaluation.max_response_tokens", "129"),
    ]
    assert refusal.violations[0].allowed.startswith("at most 127: the teacher has 191 positions")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"gate": {"block_size": 128}}, "BLOCK_IS_SEQUENCE", "gate.block_size"),
        ({"gate": {"strength": 0}}, "GATE_INERT", "gate.strength"),
        ({"reuse": {"epochs": 1}}, "GATE_INERT", "reuse"),
        ({"teacher": {"model": "student"}}, "TEACHER_IS_STUDENT", "teacher.model"),
        ({"evaluation": {}}, "NO_BENCHMARKS", "evaluation.benchmarks"),
        (
            {"rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128, "top_p": 0.9}},
            "SAMPLED_OFF_POLICY",
            "rollout.top_p",
        ),
        (
            {"prompts": {"problems": {"source": "arithmetic", "num_problems": 3}}},
            "PROMPTS_REPEAT_WITHIN_STEP",
            "rollout.prompts_per_step",
        ),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(settings, spec_of, changes, code, field):
    (warning,) = check(spec_of(**changes), settings).warnings

    assert (warning.code, warning.field) == (code, field)


def test_adapters_beside_a_layer_that_the_student_lacks_are_refused(settings, make_model, spec_of):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 4}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    make_model("student", config=sizes | heads)
    make_model("teacher", config=sizes | heads)

    refusal = refusal_of(spec_of(lora={"target_modules": ["q_proj", "c_attn"]}), settings)

    assert refusal.code is ErrorCode.INVALID_SPEC
    assert (refusal.violations[0].field, refusal.violations[0].given) == (
        "lora.target_modules",
        "c_attn",
    )
    assert "k_proj" in refusal.violations[0].allowed


@pytest.mark.usefixtures("models")
def test_of_an_unknown_architecture_the_worker_checks_the_adapters(settings, spec_of):
    # The models of these tests name no sizes.
    spec = spec_of(lora={"target_modules": ["c_attn"]})

    assert check(spec, settings).warnings == ()


def test_models_that_end_with_other_tokens_are_warned_of(settings, make_model, spec_of):
    make_model("student", config={"eos_token_id": 1})
    make_model("teacher", config={"eos_token_id": [1, 2]})

    (warning,) = check(spec_of(), settings).warnings

    assert warning.code == "EOS_MISMATCH"
    assert "[1]" in warning.message
    assert "[1, 2]" in warning.message


def test_newline_spans_without_a_newline_token_are_warned_of(settings, make_model, spec_of):
    make_model("student", symbols=["<pad>", "<eos>", "a"])
    make_model("teacher", symbols=["<pad>", "<eos>", "a"])

    (warning,) = check(spec_of(gate={"granularity": "newline_span"}), settings).warnings

    assert warning.code == "NO_NEWLINE_TOKEN"


def test_the_built_in_pair_passes(settings, spec_of):
    student = {"model": "builtin/arithmetic-student"}
    teacher = {"model": "builtin/arithmetic-teacher"}

    assert check(spec_of(student=student, teacher=teacher), settings).warnings == ()


def test_preflight_loads_neither_torch_nor_transformers_nor_tokenizers_nor_pyarrow():
    program = (
        "import sys, service.preflight.checks\n"
        "print({'torch', 'transformers', 'tokenizers', 'pyarrow'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert loaded.stdout == b"set()\n"


@pytest.mark.usefixtures("models")
def test_a_large_published_set_is_left_to_the_worker_and_one_that_is_only_counted_is_doubted(
    settings, spec_of
):
    def published(name):
        return {"prompts": {"problems": {"source": "published", "name": name}}}

    assert check(spec_of(**published("gsm8k")), settings).warnings == ()

    (warning,) = check(spec_of(**published("dapo_math_17k")), settings).warnings
    assert (warning.code, warning.field) == ("PROMPTS_NOT_VERIFIED", "prompts.problems.name")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("benchmark", "code", "reason"),
    [
        ({"name": "aime25"}, "DATASET_NOT_FOUND", "aime25.jsonl"),
        ({"name": "math500"}, "HUB_UNAVAILABLE", "math500.jsonl"),
        (
            {"name": "amc23", "problems": ARITHMETIC | {"num_problems": 20_000}},
            "DATASET_INVALID",
            "is chained arithmetic",
        ),
    ],
)
def test_a_benchmark_by_name_is_refused_at_submission(settings, spec_of, benchmark, code, reason):
    evaluation = {"benchmarks": [benchmark], "max_response_tokens": 128}

    refusal = refusal_of(spec_of(evaluation=evaluation), settings)

    assert refusal.code == code
    assert refusal.violations[0].field == "evaluation.benchmarks.0.problems"
    assert reason in refusal.message


@needs_copies
@pytest.mark.usefixtures("models")
def test_published_benchmarks_are_counted_for_the_plan(settings, spec_of):
    names = ["aime24", "aime25", "math500", "amc23"]
    evaluation = {
        "benchmarks": [{"name": name} for name in names],
        "max_response_tokens": 128,
    }
    local = settings.model_copy(update={"benchmarks_dir": folder_of_copies()})

    assert check(spec_of(evaluation=evaluation), local).num_benchmark_problems == (30, 30, 500, 40)
