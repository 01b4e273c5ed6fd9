"""Rollouts: the product's engine against transformers' own `generate`, with the demo's student.

Both sample at temperature 1 without truncation, the same prompts, samples per prompt and length limit; a
response's tokens count up to its EOS.
"""

import time

import torch
from transformers import PreTrainedModel

from benchmarks.trainer.arithmetic_models import (
    DEMO_SPEC,
    engine_of,
    fresh_model,
    prompts,
    tokenizer,
)
from benchmarks.trainer.cpu_time import Work, interleaved_rates
from benchmarks.trainer.rows import Row, row
from worker.rollouts.engine import RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.models import eos_token_ids, pad_token_id

BATCH_SIZES = (64, 512)
SAMPLES_PER_PROMPT = DEMO_SPEC.rollout.samples_per_prompt
MAX_RESPONSE_TOKENS = DEMO_SPEC.rollout.max_response_tokens


def rollout_rows(*, repeats: int) -> list[Row]:
    student = fresh_model("student")
    engine = engine_of(student)
    rows = []
    for batch_size in BATCH_SIZES:
        rates = interleaved_rates(
            {
                "ours": lambda seed, size=batch_size: work_of_engine(engine, size, seed),
                "generate": lambda seed, size=batch_size: work_of_generate(student, size, seed),
            },
            repeats=repeats,
        )
        speed = rates["ours"] / rates["generate"]
        rows += [
            row(f"rollout.{batch_size}.speed_vs_generate", speed, "ratio"),
            row(f"rollout.{batch_size}.rate", rates["ours"], "tokens/CPU s"),
            row(f"rollout.{batch_size}.generate_rate", rates["generate"], "tokens/CPU s"),
        ]
    return rows


def work_of_engine(engine: TransformersEngine, batch_size: int, seed: int) -> Work:
    first = seed * batch_size
    requests = [
        RolloutRequest(
            prompt_token_ids=prompt.token_ids,
            seeds=tuple(
                first + place * SAMPLES_PER_PROMPT + sample for sample in range(SAMPLES_PER_PROMPT)
            ),
        )
        for place, prompt in enumerate(prompts(batch_size // SAMPLES_PER_PROMPT))
    ]
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=MAX_RESPONSE_TOKENS)
    started = time.process_time()
    answers = engine.generate(requests, sampling=sampling)
    seconds = time.process_time() - started
    return Work(sum(len(response.token_ids) for each in answers for response in each), seconds)


def work_of_generate(student: PreTrainedModel, batch_size: int, seed: int) -> Work:
    torch.manual_seed(seed)
    token_ids = [prompt.token_ids for prompt in prompts(batch_size // SAMPLES_PER_PROMPT)]
    inputs = tokenizer().pad(
        {"input_ids": [list(ids) for ids in token_ids]}, padding_side="left", return_tensors="pt"
    )
    stop_ids = sorted(eos_token_ids(student, tokenizer()))
    started = time.process_time()
    sequences = student.generate(
        **inputs,
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=MAX_RESPONSE_TOKENS,
        num_return_sequences=SAMPLES_PER_PROMPT,
        eos_token_id=stop_ids,
        pad_token_id=pad_token_id(tokenizer()),
        disable_compile=True,
    )
    seconds = time.process_time() - started
    tokens_BT = sequences[:, inputs["input_ids"].shape[1] :]
    is_stop_BT = torch.isin(tokens_BT, torch.tensor(stop_ids)).int()
    num_stops_before_BT = is_stop_BT.cumsum(dim=1) - is_stop_BT
    return Work(int((num_stops_before_BT == 0).sum()), seconds)
