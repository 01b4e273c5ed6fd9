"""An engine that replays answers: problem p is answered right in the first c(p) samples.

c(p) is a hash of the problem's text modulo n + 1, so that a test knows every accuracy. A wrong answer is
`\\boxed{<wrong>}`, and the right one stands in the file that ANSWERS names.
"""

import hashlib

from worker.attempt import EngineFactory
from worker.rollouts.engine import FinishReason, Response

# The variable of the environment that has the path of the file.
ANSWERS = "REPLAYED_ANSWERS"
WRONG = "123456789"


def num_right(problem: str, n: int) -> int:
    return int(hashlib.sha256(problem.encode()).hexdigest(), 16) % (n + 1)


class ReplayingEngine:
    def __init__(self, tokenizer: object, answers: dict[str, str]) -> None:
        self._tokenizer = tokenizer
        self._answers = answers

    def generate(self, requests: list, *, sampling: object) -> list[list[Response]]:
        return [self._responses(request) for request in requests]

    def weights_changed(self) -> None:
        pass

    def synchronize(self) -> dict:
        return {}

    def rest(self) -> None:
        pass

    def _responses(self, request: object) -> list[Response]:
        prompt = self._tokenizer.decode(list(request.prompt_token_ids))
        (problem,) = [text for text in self._answers if prompt.startswith(text)]
        n = len(request.seeds)
        right = num_right(problem, n)
        answers = [self._answers[problem]] * right + [WRONG] * (n - right)
        return [self._response(f"So it is $\\boxed{{{answer}}}$.") for answer in answers]

    def _response(self, text: str) -> Response:
        token_ids = (*self._tokenizer.encode(text), self._tokenizer.eos_token_id)
        return Response(token_ids, FinishReason.STOP)


def replaying(answers: dict[str, str]) -> EngineFactory:
    """Engines that know the right answer of each problem by its text."""
    return lambda _model, tokenizer, *_: ReplayingEngine(tokenizer, answers)
