"""Trains the built-in student and teacher from nothing: `python -m worker.builtin_models`.

One supervised run on chained digit arithmetic; the student is its state at `STUDENT_STEPS`, the teacher
its end. About two minutes of one CPU core; the seed fixes the data and the initial weights.
"""

import random
import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from service.jobs.arithmetic import LABELS, random_chain
from service.jobs.seeds import derive_seed

PAD, EOS = "<pad>", "<eos>"
CHARACTERS = "0123456789+*=?# \n" + LABELS
IGNORED = -100  # cross_entropy's default ignore_index

SEED = 2
STUDENT_STEPS = 300
TEACHER_STEPS = 800
BATCH_SIZE = 32
PEAK_LEARNING_RATE = 3e-3
NUM_WARMUP_STEPS = 30
DEFAULT_FOLDER = Path(__file__).parents[1] / "service" / "builtin_models"


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


def supervised_batch(
    stream: random.Random, tokenizer: PreTrainedTokenizerFast
) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] and labels [B, T] of fresh problems with their solutions and EOS."""
    rows, labels = [], []
    for _ in range(BATCH_SIZE):
        chain = random_chain(stream, min_operations=8, max_operations=12)
        prompt_ids = tokenizer.encode(chain.prompt())
        response_ids = [*tokenizer.encode(chain.solution()), tokenizer.eos_token_id]
        rows.append(prompt_ids + response_ids)
        labels.append([IGNORED] * len(prompt_ids) + response_ids)
    longest = max(map(len, rows))
    token_ids_BT = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels_BT = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in labels])
    return token_ids_BT, labels_BT


def learning_rate_at(step: int) -> float:
    """Linear warm-up, then linear decay to a tenth of the peak at the teacher's last step."""
    warmup = min(1.0, (step + 1) / NUM_WARMUP_STEPS)
    return PEAK_LEARNING_RATE * warmup * (1 - 0.9 * step / TEACHER_STEPS)


def train(folder: Path) -> None:
    """Writes `arithmetic-student` and `arithmetic-teacher` below `folder`, weights in float16."""
    tokenizer = character_tokenizer()
    model = small_qwen3(tokenizer, seed=SEED)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.95))
    stream = random.Random(derive_seed("builtin-models", SEED))  # noqa: S311 not a secret
    for step in range(1, TEACHER_STEPS + 1):
        token_ids_BT, labels_BT = supervised_batch(stream, tokenizer)
        logits_BTV = model(input_ids=token_ids_BT).logits
        loss = cross_entropy(logits_BTV[:, :-1].flatten(0, 1), labels_BT[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step - 1)
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            sys.stdout.write(f"step {step} loss {loss.item():.4f} nats a token\n")
        if step == STUDENT_STEPS:
            save(model, tokenizer, folder / "arithmetic-student")
    save(model, tokenizer, folder / "arithmetic-teacher")


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """A loadable folder; the model itself stays in float32."""
    halved = Qwen3ForCausalLM(model.config)
    halved.load_state_dict(model.state_dict())
    halved.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER)
