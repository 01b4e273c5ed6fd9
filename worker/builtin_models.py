"""Trains the built-in students and teachers from nothing: `python -m worker.builtin_models`.

A supervised run on chained digit arithmetic for each course; its student is the state at `student_steps`, its teacher
the end. Two minutes of one CPU core for the short course and ten for the long one; the seed fixes the data and the
initial weights.
"""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from service.jobs.arithmetic import ANSWER_MARK, LABELS, Chain, random_chain
from service.jobs.seeds import derive_seed

PAD, EOS = "<pad>", "<eos>"
CHARACTERS = "0123456789+*=?# \n" + LABELS
IGNORED = -100  # cross_entropy's default ignore_index

SEED = 2
PEAK_LEARNING_RATE = 3e-3
NUM_WARMUP_STEPS = 30
MAX_SHARE_EASY = 0.85
DEFAULT_FOLDER = Path(__file__).parents[1] / "service" / "builtin_models"


def counted_solution(chain: Chain) -> str:
    """The solution with every operation counted out, about 40 characters a line, without its EOS token.

    `+ 3` adds 1 three times and `* 3` adds the state three times to 0, each addition after how many are left:
    `a2+3 32+1=3 23+1=4 14+1=5=5`.
    """
    lines, state = [], chain.start
    for label, (operator, operand), result in zip(
        LABELS, chain.operations, chain.states(), strict=False
    ):
        counted, added = (state, 1) if operator == "+" else (0, state)
        line = f"{label}{state}{operator}{operand}"
        for left in range(operand, 0, -1):
            line += f" {left}{counted}+{added}={(counted + added) % 10}"
            counted = (counted + added) % 10
        lines.append(f"{line}={result}\n")
        state = result
    return "".join(lines) + ANSWER_MARK + chain.answer()


@dataclass(frozen=True, slots=True)
class Course:
    """A student and a teacher, `NAME-student` and `NAME-teacher`, and how they learn to write solutions.

    begins_with: the model of another course that this one goes on from. Where every line is counted out, an operation is
    looked up once in 40 tokens, which is not learnt from nothing in five hundred steps.
    easy_steps: at first most operands are 0 or 1, and after that fewer and fewer until `full_steps`.
    """

    name: str
    solution: Callable[[Chain], str]
    min_operations: int
    max_operations: int
    batch_size: int
    min_batch_tokens: int
    student_steps: int
    teacher_steps: int
    begins_with: str | None = None
    easy_steps: int = 0
    full_steps: int = 0


SHORT = Course(
    name="arithmetic",
    solution=Chain.solution,
    min_operations=8,
    max_operations=12,
    batch_size=32,
    min_batch_tokens=0,
    student_steps=300,
    teacher_steps=800,
)
LONG = Course(
    name="arithmetic-long",
    solution=counted_solution,
    min_operations=6,
    max_operations=14,
    batch_size=4,
    min_batch_tokens=3000,
    student_steps=1200,
    teacher_steps=2000,
    begins_with="arithmetic-teacher",
    easy_steps=400,
    full_steps=800,
)


def character_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character; `<pad>` is 0 and `<eos>` is 1."""
    vocabulary = {token: index for index, token in enumerate([PAD, EOS, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        model_max_length=32_768,
    )


def small_qwen3(tokenizer: PreTrainedTokenizerFast, *, seed: int) -> Qwen3ForCausalLM:
    """A Qwen3 of about 100k parameters with a tied head."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=168,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return Qwen3ForCausalLM(config)


def exercise(stream: random.Random, course: Course, *, step: int) -> Chain:
    """A fresh problem, as hard as the course has become."""
    chain = random_chain(
        stream, min_operations=course.min_operations, max_operations=course.max_operations
    )
    if step >= course.full_steps:
        return chain
    grown = max(0.0, (step - course.easy_steps) / (course.full_steps - course.easy_steps))
    share_easy = (1 - grown) * MAX_SHARE_EASY
    operations = tuple(
        (operator, operand % 2 if stream.random() < share_easy else operand)
        for operator, operand in chain.operations
    )
    return replace(chain, operations=operations)


def supervised_batch(
    stream: random.Random, tokenizer: PreTrainedTokenizerFast, course: Course, *, step: int
) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] and labels [B, T] of fresh problems with their solutions and EOS."""
    rows: list[list[int]] = []
    labels: list[list[int]] = []
    num_tokens = 0
    while len(rows) < course.batch_size or num_tokens < course.min_batch_tokens:
        chain = exercise(stream, course, step=step)
        prompt_ids = tokenizer.encode(chain.prompt())
        response_ids = [*tokenizer.encode(course.solution(chain)), tokenizer.eos_token_id]
        rows.append(prompt_ids + response_ids)
        labels.append([IGNORED] * len(prompt_ids) + response_ids)
        num_tokens += len(response_ids)
    longest = max(map(len, rows))
    token_ids_BT = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels_BT = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in labels])
    return token_ids_BT, labels_BT


def learning_rate_at(step: int, course: Course) -> float:
    """Linear warm-up, then linear decay to a tenth of the peak at the teacher's last step."""
    warmup = min(1.0, (step + 1) / NUM_WARMUP_STEPS)
    return PEAK_LEARNING_RATE * warmup * (1 - 0.9 * step / course.teacher_steps)


def train(course: Course, folder: Path) -> None:
    """Writes the student and the teacher below `folder`, weights in float16."""
    tokenizer = character_tokenizer()
    model = small_qwen3(tokenizer, seed=SEED)
    if course.begins_with is not None:
        known = Qwen3ForCausalLM.from_pretrained(folder / course.begins_with, dtype=torch.float32)
        model.load_state_dict(known.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.95))
    stream = random.Random(derive_seed("builtin-models", SEED))  # noqa: S311 not a secret
    for step in range(1, course.teacher_steps + 1):
        token_ids_BT, labels_BT = supervised_batch(stream, tokenizer, course, step=step)
        logits_BTV = model(input_ids=token_ids_BT).logits
        loss = cross_entropy(logits_BTV[:, :-1].flatten(0, 1), labels_BT[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step - 1, course)
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            sys.stdout.write(f"{course.name}: step {step} loss {loss.item():.4f} nats a token\n")
        if step == course.student_steps:
            save(model, tokenizer, folder / f"{course.name}-student")
    save(model, tokenizer, folder / f"{course.name}-teacher")


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """A loadable folder; the model itself stays in float32."""
    halved = Qwen3ForCausalLM(model.config)
    halved.load_state_dict(model.state_dict())
    halved.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in (SHORT, LONG):
        train(each, Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER)
