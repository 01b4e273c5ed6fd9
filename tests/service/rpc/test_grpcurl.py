"""What a pipeline author does with grpcurl alone: everything that it knows comes from reflection."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.jobs.state import JobState
from service.rpc.server import build_server
from tests.service.rpc.parity_worlds import SPEC

GRPCURL = shutil.which("grpcurl", path=str(Path(sys.executable).parent))

# As protobuf's JSON has it: the names of enums, a oneof by the name of its member.
FEW_PROBLEMS = {"arithmetic": {"num_problems": 8}}
JSON_SPEC = {
    "student": SPEC["student"],
    "teacher": SPEC["teacher"],
    "prompts": {"problems": FEW_PROBLEMS},
    "gate": {"granularity": "GRANULARITY_BLOCK", "block_size": 16},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128},
    "evaluation": {
        "benchmarks": [{"name": "chains", "problems": FEW_PROBLEMS}],
        "max_response_tokens": 128,
    },
}


@pytest.fixture
def grpcurl(operations, settings, exit_stack):
    """Runs it against a server. Returns what it wrote and its exit status."""
    if (
        GRPCURL is None
        or subprocess.run([GRPCURL, "-version"], check=False, capture_output=True).returncode
    ):
        pytest.skip("grpcurl does not run here")
    server, port = build_server(operations, settings)
    server.start()
    exit_stack.callback(lambda: server.stop(grace=None).wait())

    def run(*words: str, data: object = None) -> tuple[int, str]:
        given = [] if data is None else ["-d", json.dumps(data)]
        options = [word for word in words if word.startswith("-")]
        verbs = [word for word in words if not word.startswith("-")]
        address = f"127.0.0.1:{port}"
        command = [GRPCURL, "-plaintext", "-max-time", "30", *options, *given, address, *verbs]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def stream_of(text: str) -> list[dict]:
    """The JSON objects that stand one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def test_services_are_listed_and_described(grpcurl):
    _, services = grpcurl("list")
    assert {"driftgate.v1.JobService", "driftgate.v1.DatasetService"} <= set(services.split())
    _, methods = grpcurl("list", "driftgate.v1.JobService")
    assert "driftgate.v1.JobService.StreamEvents" in methods
    _, described = grpcurl("describe", "driftgate.v1.JobService")
    assert "returns ( stream .driftgate.v1.WatchJobResponse );" in described
    _, described = grpcurl("-msg-template", "describe", "driftgate.v1.CreateJobRequest")
    assert ".driftgate.v1.JobSpec spec = 1;" in described
    assert '"validate_only": false' in described


def test_a_job_is_made_of_json_followed_to_its_end_and_read(grpcurl, job_store):
    service = "driftgate.v1.JobService"
    status, made = grpcurl(f"{service}/CreateJob", data={"spec": JSON_SPEC, "request_id": "once"})
    assert status == 0, made
    job = json.loads(made)["job"]
    assert (job["state"], job["spec"]["gate"]["block_size"]) == ("JOB_STATE_QUEUED", 16)

    lease = job_store.claim(queue="default", owner="w", lease_s=60).lease
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="done")
    status, streamed = grpcurl(f"{service}/StreamEvents", data={"job_id": job["id"]})

    assert status == 0, streamed
    events = [answer["event"] for answer in stream_of(streamed)]
    assert events[0]["state"] == "JOB_STATE_QUEUED"
    assert events[-1]["state"] == "JOB_STATE_SUCCEEDED"
    status, watched = grpcurl(f"{service}/WatchJob", data={"job_id": job["id"]})
    assert (status, json.loads(watched)["job"]["state"]) == (0, "JOB_STATE_SUCCEEDED")
    status, read = grpcurl(
        f"{service}/GetJob", data={"job_id": job["id"], "if_version_not": 1, "wait": "10s"}
    )
    assert (status, json.loads(read)["job"]["state"]) == (0, "JOB_STATE_SUCCEEDED")


def test_a_refusal_shows_its_details(grpcurl):
    status, refused = grpcurl(
        "driftgate.v1.JobService/CreateJob", data={"spec": JSON_SPEC | {"steps": 0}}
    )

    assert status != 0
    assert "Code: InvalidArgument" in refused
    assert '"reason":"INVALID_SPEC"' in refused.replace(" ", "")
    assert '"field":"steps"' in refused.replace(" ", "")
