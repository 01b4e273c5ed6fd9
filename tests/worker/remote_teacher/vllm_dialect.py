"""A real HTTP server that speaks vLLM's dialect of completions over a tiny model, and can be made to misbehave."""

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from tests.worker.byte_model import byte_tokenizer

KEY = "sk-hidden"
BEARER = f"Bearer {KEY}"


def tiny_teacher(seed: int = 2) -> Qwen3ForCausalLM:
    """Of the byte tokenizer; its predictions differ much from place to place."""
    torch.manual_seed(seed)
    tokenizer = byte_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,  # vLLM has kernels for a CPU from this width on
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=0.5,
    )
    return Qwen3ForCausalLM(config).eval()


class RefusalError(Exception):
    """An answer with another status than 200."""

    def __init__(self, status, message, headers=()):
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers)


class VllmDialect(ThreadingHTTPServer):
    """`faults`: what is done in place of the next completions, in turn; each is a function of the handler.

    change: from the true entries of a prompt and the prompt to what is sent.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, model: PreTrainedModel, tokenizer, *, name="teacher", port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.wanted = None  # the authorization of every request
        self.max_model_len, self.max_logprobs = 512, 20
        self.has_texts, self.has_token_ids = True, True
        self.faults = deque()
        self.change = lambda entries, _prompt: entries
        self.reorder = lambda choices: choices
        self.delay_s = 0.0
        self.bodies, self.keys_seen = [], []
        self.num_under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self):
        return f"{self.origin}/v1"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that went away is part of these tests."""

    def complete(self, body):
        if body["model"] != self.name:
            raise RefusalError(404, f"The model `{body['model']}` does not exist.")
        k = body.get("prompt_logprobs")
        if k is not None and k > self.max_logprobs:
            raise RefusalError(
                400,
                f"Requested prompt logprobs of {k}, which is greater than max allowed: {self.max_logprobs}",
            )
        choices = [
            self.choice(index, prompt, body, k=k) for index, prompt in enumerate(body["prompt"])
        ]
        return {"object": "text_completion", "choices": self.reorder(choices)}

    def choice(self, index, prompt, body, *, k):
        vocabulary_size = self.model.config.vocab_size
        if max(prompt) >= vocabulary_size:
            raise RefusalError(400, f"Token id {max(prompt)} is out of vocabulary")
        if len(prompt) + body["max_tokens"] > self.max_model_len:
            raise RefusalError(
                400, f"This model's maximum context length is {self.max_model_len} tokens."
            )
        entries = [None, *(_entry(row, token, k=k) for row, token in self.predicted(prompt))]
        generated, log_probs = [], []
        generator = torch.Generator().manual_seed(body.get("seed", 0))
        for _ in range(body["max_tokens"]):
            row = self.log_probs([*prompt, *generated])[-1]
            drawn = row.exp().multinomial(1, generator=generator)
            generated.append(int(drawn if body["temperature"] else row.argmax()))
            log_probs.append(row[generated[-1]].item())
        choice = {
            "index": index,
            "text": self.tokenizer.decode(generated),
            "prompt_logprobs": self.change(entries, prompt),
            "logprobs": {"token_logprobs": log_probs} if "logprobs" in body else None,
        }
        if self.has_token_ids:
            choice |= {"prompt_token_ids": prompt, "token_ids": generated}
        return choice

    def predicted(self, prompt):
        return zip(self.log_probs(prompt)[:-1], prompt[1:], strict=True)

    @torch.no_grad()
    def log_probs(self, token_ids):
        logits = self.model(input_ids=torch.tensor([token_ids]), use_cache=False).logits[0]
        return logits.float().log_softmax(dim=-1)


def _entry(row, token, *, k):
    top = row.topk(k or 0)
    values = dict(zip(top.indices.tolist(), top.values.tolist(), strict=True))
    values[token] = row[token].item()
    return {
        str(each): {
            "logprob": value,
            "rank": int((row >= row[each]).sum()),
            "decoded_token": chr(each % 128),
        }
        for each, value in values.items()
    }


def _refuse(given):
    raise RefusalError(401, f"Unauthorized: {given}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VllmDialect

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.answer(self.get)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        server.bodies.append((self.path, body))
        with server.lock:
            server.num_under_way += 1
            server.most_under_way = max(server.most_under_way, server.num_under_way)
            fault = (
                server.faults.popleft()
                if self.path.endswith("/completions") and server.faults
                else None
            )
        try:
            if fault is not None:
                self.answer(lambda: fault(self))
            else:
                self.answer(lambda: self.post(body))
        finally:
            with server.lock:
                server.num_under_way -= 1

    def get(self):
        server = self.server
        if self.path != "/v1/models":
            raise RefusalError(404, "Not Found")
        return {"data": [{"id": server.name, "max_model_len": server.max_model_len}]}

    def post(self, body):
        server = self.server
        if self.path == "/v1/completions":
            time.sleep(server.delay_s)
            return server.complete(body)
        if self.path == "/detokenize" and server.has_texts:
            return {"prompt": server.tokenizer.decode(body["tokens"])}
        raise RefusalError(404, "Not Found")

    def answer(self, make):
        server = self.server
        given = self.headers.get("authorization")
        server.keys_seen.append(given)
        status, headers = 200, {}
        try:
            content = make() if server.wanted in (None, given) else _refuse(given)
        except RefusalError as refusal:
            status, headers = refusal.status, refusal.headers
            content = {"error": {"message": refusal.message, "code": refusal.status}}
        if content is None:
            self.close_connection = True
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
