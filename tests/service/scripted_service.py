"""Services that answer as a test wants: by a script, or with an answer that is lost."""

import json

import httpx
from pydantic import BaseModel

from service.client import Client
from service.demo.jobs import demo_specs

SPEC = demo_specs(7)[2]


class ScriptedService:
    """Answers requests as scripted, (status, body[, headers]) or an error each, and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        content = body.model_dump_json() if isinstance(body, BaseModel) else body
        return httpx.Response(status, content=content, headers=dict(*headers))

    def client(self, **arguments):
        transport = httpx.MockTransport(self)
        arguments = {"retry_for_s": 0} | arguments
        return Client("http://service.test/prefix", transport=transport, **arguments)


def problem(status, **fields):
    return status, json.dumps({"type": "about:blank", "title": "-", "status": status} | fields)


class LosesTheFirstAnswer(httpx.HTTPTransport):
    """The request arrives, its answer does not."""

    def __init__(self):
        super().__init__()
        self.num_requests = 0

    def handle_request(self, request):
        self.num_requests += 1
        response = super().handle_request(request)
        if self.num_requests == 1:
            response.read()
            raise httpx.ReadError("the connection broke")
        return response
