"""Where problems come from, and how a problem becomes a prompt."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from service.jobs.spec_fields import Seed, SpecPart
from service.jobs.text_patterns import DATASET_ID, NO_NUL, ONE_LINE

EXAMPLE_ID = "ds-9f86d081884c7d659a2feaa0c55ad015"


class ArithmeticSource(SpecPart):
    """The built-in chained digit arithmetic, generated from its seed."""

    source: Literal["arithmetic"] = "arithmetic"
    num_problems: int = Field(default=200, ge=1, le=1_000_000)
    min_operations: int = Field(default=8, ge=1, le=26)
    max_operations: int = Field(default=12, ge=1, le=26)
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_operations(self) -> "ArithmeticSource":
        if self.min_operations > self.max_operations:
            raise ValueError(
                f"min_operations is {self.min_operations}, but may be at most max_operations, "
                f"which is {self.max_operations}"
            )
        return self


class FileSource(SpecPart):
    """A JSONL file below the dataset root: `problem` a line, and for a benchmark `id` and `answer`."""

    source: Literal["file"] = "file"
    path: str = Field(min_length=1, max_length=1024, pattern=ONE_LINE)


class DatasetSource(SpecPart):
    """A problem set that was uploaded before; its content is verified by the id."""

    source: Literal["dataset"] = "dataset"
    dataset_id: str = Field(
        pattern=DATASET_ID, description="`id` of the answer to the upload.", examples=[EXAMPLE_ID]
    )


class Problem(SpecPart):
    """One problem; `answer` is needed only where answers are graded. No text holds a NUL."""

    id: str = Field(min_length=1, max_length=200, pattern=NO_NUL)
    problem: str = Field(min_length=1, max_length=100_000, pattern=NO_NUL)
    answer: str | None = Field(default=None, max_length=1000, pattern=NO_NUL)


class InlineSource(SpecPart):
    """Problems given in the spec itself."""

    source: Literal["inline"] = "inline"
    problems: tuple[Problem, ...] = Field(max_length=10_000, fail_fast=True)


class PublishedSet(StrEnum):
    """Problem sets known by name, whose text is verified before it is used."""

    AIME24 = "aime24"
    AIME25 = "aime25"
    MATH500 = "math500"
    AMC23 = "amc23"
    GSM8K = "gsm8k"
    MATH = "math"
    DAPO_MATH_17K = "dapo_math_17k"


PUBLISHED_BENCHMARKS = frozenset(
    {PublishedSet.AIME24, PublishedSet.AIME25, PublishedSet.MATH500, PublishedSet.AMC23}
)


class PublishedSource(SpecPart):
    """A published problem set, from the folder of benchmarks or the hub; its text is verified."""

    source: Literal["published"] = "published"
    name: PublishedSet


ProblemSource = Annotated[
    ArithmeticSource | FileSource | InlineSource | PublishedSource | DatasetSource,
    Field(discriminator="source"),
]


BOXED_INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


class PromptFormat(SpecPart):
    """How a problem becomes the prompt of a model."""

    instruction: str = Field(
        default=BOXED_INSTRUCTION,
        max_length=10_000,
        description="Follows a problem after one blank line; not used for arithmetic problems.",
    )
    chat_template: Literal["auto", "never"] = Field(
        default="auto",
        description="`auto` applies the tokenizer's chat template where it has one.",
    )
    enable_thinking: StrictBool | None = Field(
        default=None,
        description="Told to chat templates that know it, such as hybrid Qwen3's. null leaves it to the "
        "template, and in an evaluation to the sampling profile.",
    )

    @model_validator(mode="after")
    def _check_thinking(self) -> "PromptFormat":
        if self.enable_thinking is not None and self.chat_template == "never":
            raise ValueError(
                "enable_thinking is told to the chat template, and chat_template is 'never'; leave one out"
            )
        return self


class PromptsSpec(SpecPart):
    """The prompts that the student is trained on."""

    problems: ProblemSource
    format: PromptFormat = PromptFormat()
    drop_overlapping: StrictBool = Field(
        default=True,
        description="Leave out prompts that share 13 words in a row with a problem of the job's "
        "benchmarks.",
    )
