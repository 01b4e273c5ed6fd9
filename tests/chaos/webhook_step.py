"""The delivery of a webhook, as a step of the sweep: what the receiver got, however often its sender was killed."""

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

from service.child_process import die_with_parent
from service.jobs.webhooks import DeliveryState, WebhookEventType, WebhookSpec
from service.storage.webhook_queue import WebhookQueue
from service.storage.webhook_store import WebhookStore
from service.webhook_delivery import LEASE_S, Deliverer
from tests.chaos.crash_steps import Step
from tests.chaos.sweep_world import SweepWorld

RECEIVED = "received.txt"
ID_HEADER = "webhook-id"
EVENT_TYPES = frozenset(WebhookEventType)


def start_receiver(folder: Path) -> str:
    """Its url. It notes the id of each delivery before it answers, and ends with this process."""
    server = HTTPServer(("127.0.0.1", 0), _handler(folder / RECEIVED))
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    parent = os.getpid()
    if os.fork() == 0:
        die_with_parent(parent)
        server.serve_forever()
    server.server_close()
    return url


def _handler(received: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with received.open("a") as file:
                file.write(f"{self.headers[ID_HEADER]}\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


def job_with_deliveries(world: SweepWorld, key: str) -> str:
    """Waiting, and its webhook is to hear of that."""
    WebhookStore(world.database).create(WebhookSpec(url=world.receiver_url))
    return world.create(key).id


def deliver(world: SweepWorld, _job_id: str) -> None:
    _deliver(world, after_s=1)


def deliver_again(world: SweepWorld, _key: str, job_id: str) -> None:
    """By another process, once the claim of the first is over; and all that the job does until it ends."""
    world.go_on(job_id)
    world.process.run(lambda: _deliver(world, after_s=2 * LEASE_S))
    store = WebhookStore(world.database)
    (webhook,) = store.list_webhooks(limit=10, token=None).webhooks
    page = store.deliveries(webhook.id, state=None, limit=100, token=None)
    received = set((world.folder / RECEIVED).read_text().split())
    events = world.jobs.events(job_id).events
    moves = [after for before, after in pairwise(events) if before.state is not after.state]
    told = [event.seq for event in (events[0], *moves) if f"job.{event.state}" in EVENT_TYPES]
    assert sorted(each.event_seq for each in page.deliveries) == told
    assert {each.state for each in page.deliveries} == {DeliveryState.DELIVERED}
    assert {each.id for each in page.deliveries} <= received
    store.delete(webhook.id)


def _deliver(world: SweepWorld, *, after_s: float) -> None:
    now = datetime.now(UTC) + timedelta(seconds=after_s)
    queue = WebhookQueue(world.database, clock=lambda: now)
    with closing(Deliverer(webhook_queue=queue, allow_private=True)) as deliverer:
        while deliverer.run_once():
            pass


WEBHOOK_STEP = Step("webhook", job_with_deliveries, deliver, deliver_again)
