"""What the job trains on and what is held out: GSM8K where its file is at hand, else the built-in arithmetic."""

from dataclasses import dataclass
from typing import Any

from service.jobs.arithmetic import arithmetic_problems
from service.jobs.problem_sources import (
    ArithmeticSource,
    InlineSource,
    Problem,
    ProblemSource,
    PromptFormat,
    PublishedSet,
    PublishedSource,
)
from service.preflight.problems import load_problems
from service.preflight.published import has_local_copy
from service.settings import Settings
from worker.rollouts.prompts import Prompt, encode_prompts

MAX_CHARACTERS = 110  # of a GSM8K problem: a step on a CPU is mostly the reading of its prompts
MAX_PROMPT_TOKENS = 128
FORMAT = PromptFormat(instruction="")
NUM_HELD_OUT = 12
ARITHMETIC_SEED, HELD_OUT_SEED = 1, 2
NUM_ARITHMETIC = 400


@dataclass(frozen=True, slots=True)
class Problems:
    """source: what the job is given. held_out: problems that are not in it."""

    name: str
    source: ProblemSource
    held_out: tuple[Problem, ...]

    def held_out_prompts(self, tokenizer: Any) -> tuple[Prompt, ...]:
        return encode_prompts(
            self.held_out,
            source=self.source,
            prompt_format=FORMAT,
            tokenizer=tokenizer,
            max_prompt_tokens=MAX_PROMPT_TOKENS,
            field="held-out problems",
        )


def choose_problems(settings: Settings) -> Problems:
    """GSM8K, its text verified, from DRIFTGATE_BENCHMARKS_DIR; the last of its short problems are held out."""
    if not has_local_copy(PublishedSet.GSM8K, settings=settings):
        return _arithmetic()
    problems = load_problems(
        PublishedSource(name=PublishedSet.GSM8K),
        settings=settings,
        split="training",
        field="prompts.problems",
        graded=False,
    )
    short = [each for each in problems if len(each.problem) <= MAX_CHARACTERS]
    trained, held_out = short[:-NUM_HELD_OUT], short[-NUM_HELD_OUT:]
    name = f"GSM8K, its {len(trained)} problems of at most {MAX_CHARACTERS} characters"
    return Problems(name, InlineSource(problems=tuple(trained)), tuple(held_out))


def _arithmetic() -> Problems:
    source = ArithmeticSource(num_problems=NUM_ARITHMETIC, seed=ARITHMETIC_SEED)
    unseen = ArithmeticSource(num_problems=NUM_HELD_OUT, seed=HELD_OUT_SEED)
    held_out = arithmetic_problems(unseen, split="training")
    return Problems("the built-in arithmetic", source, tuple(held_out))
