import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from service.jobs.webhooks import DeliveryState, WebhookSpec
from service.storage.sessions import Database
from service.storage.webhook_queue import WebhookQueue
from service.storage.webhook_store import WebhookStore
from service.webhook_delivery import (
    LEASE_S,
    MAX_AT_ONCE_PER_HOST,
    MAX_ATTEMPTS,
    RETRY_WAITS_S,
    Deliverer,
    wait_before_retry_s,
)
from service.webhook_request import Answer
from service.webhook_signature import verify_webhook
from tests.service.webhook_receivers import Clock, a_receiver


class Service:
    """A store and as many deliverers as a test wants, on one database and one clock."""

    def __init__(self, database):
        self.clock = Clock()
        self.store = WebhookStore(database, clock=self.clock)
        self.queue = WebhookQueue(database, clock=self.clock)
        self._deliverers = contextlib.ExitStack()

    def deliverer(self, **options):
        defaults = {"allow_private": True, "jitter": lambda: 0.0}
        deliverer = Deliverer(webhook_queue=self.queue, **(defaults | options))
        self._deliverers.callback(deliverer.close)
        return deliverer

    def register(self, url):
        return self.store.create(WebhookSpec(url=url))

    def trial(self, webhook):
        return self.store.add_trial(webhook.id)

    def after(self, delivery):
        return self.store.delivery(delivery.webhook_id, delivery.id)

    def close(self):
        self._deliverers.close()


@pytest.fixture
def service(sqlite_url):
    database = Database(sqlite_url)
    service = Service(database)
    yield service
    service.close()
    database.close()


@pytest.fixture
def service_on_both(database):
    service = Service(database)
    yield service
    service.close()


@pytest.fixture
def receiver():
    with a_receiver() as receiver:
        yield receiver


def at_loopback(_host, _port):
    return ["127.0.0.1"]


# What is sent


def test_a_delivery_is_posted_signed_and_recorded(service, receiver):
    webhook = service.register(receiver.url + "?a=b%20c")
    delivery = service.trial(webhook)
    assert service.deliverer().run_once() == 1
    (request,) = receiver.requests
    now_s = service.clock.now.timestamp()
    assert verify_webhook(request.body, request.headers, webhook.secret, now_s=now_s) == delivery.id
    assert request.path == "/hook?a=b%20c"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    after = service.after(delivery)
    assert (after.state, after.delivered_at) == (DeliveryState.DELIVERED, service.clock.now)
    assert [(one.number, one.http_status, one.error) for one in after.attempts] == [(1, 204, None)]
    assert 0 < after.attempts[0].seconds < 10


def test_after_a_rotation_both_secrets_verify(service, receiver):
    webhook = service.register(receiver.url)
    rotated = service.store.rotate_secret(webhook.id)
    service.trial(webhook)
    service.deliverer().run_once()
    (request,) = receiver.requests
    now_s = service.clock.now.timestamp()
    for secret in (webhook.secret, rotated.secret):
        verify_webhook(request.body, request.headers, secret, now_s=now_s)


def test_proxies_of_the_environment_are_not_used(service, receiver, unused_port, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port}")
    service.trial(service.register(receiver.url))
    service.deliverer().run_once()
    assert len(receiver.requests) == 1


# What becomes of answers


def test_a_refusing_receiver_is_asked_ten_times_along_the_schedule(service, receiver):
    receiver.statuses = [500]
    delivery = service.trial(service.register(receiver.url))
    deliverer = service.deliverer()
    for wait_s in RETRY_WAITS_S:
        assert deliverer.run_once() == 1
        assert service.after(delivery).next_attempt_at - service.clock.now == timedelta(
            seconds=wait_s
        )
        service.clock.advance(wait_s - 1)
        assert deliverer.run_once() == 0
        service.clock.advance(1)
    assert deliverer.run_once() == 1
    after = service.after(delivery)
    assert (after.state, after.next_attempt_at) == (DeliveryState.FAILED, None)
    assert [one.number for one in after.attempts] == list(range(1, MAX_ATTEMPTS + 1))
    assert {one.error for one in after.attempts} == {"answered 500"}
    assert {request.headers["webhook-id"] for request in receiver.requests} == {delivery.id}


def test_a_delivery_that_was_given_up_gets_one_attempt_when_asked_for(service, receiver):
    receiver.statuses = [500]
    delivery = service.trial(service.register(receiver.url))
    deliverer = service.deliverer()
    for wait_s in (*RETRY_WAITS_S, 0):
        deliverer.run_once()
        service.clock.advance(wait_s)
    service.store.redeliver(delivery.webhook_id, delivery.id)
    deliverer.run_once()
    assert service.after(delivery).state is DeliveryState.FAILED
    receiver.statuses = [200]
    service.store.redeliver(delivery.webhook_id, delivery.id)
    deliverer.run_once()
    after = service.after(delivery)
    assert (after.state, after.num_attempts) == (DeliveryState.DELIVERED, MAX_ATTEMPTS + 2)


@pytest.mark.parametrize(
    ("num_attempts", "status", "retry_after_s", "jitter", "wait_s"),
    [
        (1, 500, None, 0.0, 5),
        (1, 500, None, 1.0, 6),
        (9, None, None, 0.5, 50_400 * 1.1),
        (1, 503, 90.0, 0.0, 90),
        (1, 429, 90.0, 0.0, 90),
        (1, 500, 90.0, 0.0, 5),
        (1, 429, 1.0, 0.0, 5),
        (1, 429, -1e9, 0.0, 5),
        (1, 429, 1e9, 0.0, 86_400),
    ],
)
def test_waits_follow_the_schedule_and_what_the_receiver_asks_for(
    num_attempts, status, retry_after_s, jitter, wait_s
):
    answer = Answer(status, "an error", 0.1, retry_after_s)
    assert wait_before_retry_s(num_attempts, answer, jitter=jitter) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        ("120", 120),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("soon", 5),
        ("-1", 5),
        ("9" * 400, 5),
    ],
)
def test_retry_after_comes_as_seconds_or_as_a_date(service, receiver, retry_after, wait_s):
    receiver.statuses = [503]
    receiver.headers = {"Retry-After": retry_after}
    delivery = service.trial(service.register(receiver.url))
    service.deliverer().run_once()
    waits = service.after(delivery).next_attempt_at - service.clock.now
    assert waits == timedelta(seconds=wait_s)


def test_a_receiver_that_is_gone_is_never_asked_again(service, receiver):
    receiver.statuses = [410]
    webhook = service.register(receiver.url)
    delivery = service.trial(webhook)
    service.deliverer().run_once()
    assert service.store.get(webhook.id).enabled is False
    assert service.after(delivery).state is DeliveryState.FAILED


def test_redirects_are_failures_and_not_followed(service, receiver):
    with a_receiver() as elsewhere:
        receiver.statuses = [307]
        secret = elsewhere.url.replace("http://", "http://user:S3CR3T@") + "?token=S3CR3T"
        receiver.headers = {"Location": secret}
        delivery = service.trial(service.register(receiver.url))
        service.deliverer().run_once()
        assert elsewhere.requests == []
    (attempt,) = service.after(delivery).attempts
    assert (attempt.http_status, service.after(delivery).state) == (307, DeliveryState.PENDING)
    shown = elsewhere.url.replace("http://", "http://***@")
    assert f"a redirect to '{shown}'; redirects are not followed" in attempt.error


@contextlib.contextmanager
def a_server_that_never_ends(first_bytes):
    """It sends these, and then a byte every 10 ms for as long as somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listens_no_more = threading.Event()

        def serve():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                connection.sendall(first_bytes)
                while not listens_no_more.wait(0.01):
                    connection.sendall(b"x")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        listens_no_more.set()
        thread.join()


def test_a_receiver_that_answers_byte_by_byte_is_left_in_time(service):
    with a_server_that_never_ends(b"HTTP/1.1 200 OK\r\nX: ") as url:
        delivery = service.trial(service.register(url))
        service.deliverer(timeout_s=0.3).run_once()
    (attempt,) = service.after(delivery).attempts
    assert attempt.error == "no answer within 0.3 s"
    assert 0.3 <= attempt.seconds < 5


def test_an_endless_body_is_not_read(service):
    with a_server_that_never_ends(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        delivery = service.trial(service.register(url))
        service.deliverer().run_once()
    assert service.after(delivery).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("answer", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 700\r\n\r\n"])
def test_what_is_no_answer_is_an_error(service, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        delivery = service.trial(service.register(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        with ThreadPoolExecutor(1) as pool:
            attempt = pool.submit(service.deliverer().run_once)
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.sendall(answer)
            connection.close()
            attempt.result()
    (recorded,) = service.after(delivery).attempts
    assert recorded.error
    assert service.after(delivery).state is DeliveryState.PENDING


# Where it is sent


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["2606:4700::1111", "::ffff:169.254.169.254"],
        ["fe80::1%eth0"],
    ],
)
def test_a_name_with_a_private_address_is_sent_nothing(service, addresses):
    delivery = service.trial(service.register("https://hooks.example.org/"))
    service.deliverer(allow_private=False, resolve=lambda _host, _port: addresses).run_once()
    (attempt,) = service.after(delivery).attempts
    assert attempt.error.startswith("the name hooks.example.org resolves to ")
    assert attempt.error.endswith("nothing was sent")


def test_a_url_that_the_settings_allow_no_more_is_sent_nothing(service, receiver):
    delivery = service.trial(service.register(receiver.url))
    service.deliverer(allow_private=False).run_once()
    assert receiver.requests == []
    assert "Webhooks may not go to" in service.after(delivery).attempts[0].error


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(service, receiver):
    """DNS rebinding: the second answer would be another one, and the system knows no such name."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return answers[len(asked) - 1]

    service.trial(service.register(f"http://rebinding.test:{receiver.port}/hook"))
    service.deliverer(resolve=resolve).run_once()
    assert asked == [("rebinding.test", receiver.port)]
    (request,) = receiver.requests
    assert request.headers["Host"] == f"rebinding.test:{receiver.port}"


def test_the_next_address_is_tried_where_one_cannot_be_reached(service, receiver):
    delivery = service.trial(service.register(f"http://hooks.test:{receiver.port}/"))
    # The receiver listens on 127.0.0.1 alone.
    service.deliverer(resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"]).run_once()
    assert service.after(delivery).state is DeliveryState.DELIVERED


def unknown(_host, _port):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def wrongly_spelt(_host, _port):
    raise UnicodeError("label too long")


@pytest.mark.parametrize(
    ("resolve", "error"),
    [
        (unknown, "the name hooks.test cannot be resolved: [Errno -2] Name or service not known"),
        (wrongly_spelt, "the name hooks.test cannot be resolved: label too long"),
        (lambda _host, _port: [], "the name hooks.test has no address"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error(service, resolve, error):
    delivery = service.trial(service.register("http://hooks.test/"))
    service.deliverer(resolve=resolve).run_once()
    (attempt,) = service.after(delivery).attempts
    assert attempt.error.startswith(error)


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """The TLS context of a server that is `hooks.test`, whom this process trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = (
        "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=hooks"
    )
    files = ["-keyout", key, "-out", certificate]
    name = ["-addext", "subjectAltName=DNS:hooks.test"]
    command = ["openssl", "req", *options.split(), *name, *files]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_the_certificate_must_be_of_the_name_though_the_connection_is_to_an_address(
    service, certified
):
    deliverer = service.deliverer(resolve=at_loopback)
    with a_receiver(certified) as receiver:
        named = service.trial(service.register(f"https://hooks.test:{receiver.port}/"))
        other = service.trial(service.register(f"https://other.test:{receiver.port}/"))
        deliverer.run_once()
    assert service.after(named).state is DeliveryState.DELIVERED
    (attempt,) = service.after(other).attempts
    assert "certificate is not valid for 'other.test'" in attempt.error
    assert len(receiver.requests) == 1


# Several at once


def test_a_receiver_that_hangs_holds_a_few_threads_and_delays_no_other(
    service, receiver, wait_until
):
    released = threading.Event()
    with a_receiver() as hanging:
        hanging.hold = lambda: released.wait(10)
        deliverer = service.deliverer(resolve=at_loopback)
        # Two webhooks of one host share its threads.
        for path in ("a", "b"):
            webhook = service.register(f"http://hangs.test:{hanging.port}/{path}")
            for _ in range(MAX_AT_ONCE_PER_HOST):
                service.trial(webhook)
        deliverer.start_due()
        wait_until(lambda: len(hanging.requests) == MAX_AT_ONCE_PER_HOST)
        service.trial(service.register(receiver.url))
        deliverer.run_once()
        assert len(receiver.requests) == 1
        assert len(hanging.requests) == MAX_AT_ONCE_PER_HOST
        released.set()

        def all_sent():
            deliverer.run_once()
            return len(hanging.requests) == 2 * MAX_AT_ONCE_PER_HOST

        wait_until(all_sent)


def test_two_deliverers_at_once_deliver_each_once(service_on_both, receiver):
    service = service_on_both
    webhook = service.register(receiver.url)
    ids = [service.trial(webhook).id for _ in range(24)]
    deliverers = [service.deliverer() for _ in range(2)]
    barrier = threading.Barrier(2)

    def deliver_all(deliverer):
        barrier.wait()
        while deliverer.run_once():
            pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(deliver_all, deliverers))
    assert Counter(request.headers["webhook-id"] for request in receiver.requests) == Counter(ids)


KILLED_DELIVERER = """
import sys
from service.storage.sessions import Database
from service.storage.webhook_queue import WebhookQueue
from service.webhook_delivery import Deliverer
Deliverer(webhook_queue=WebhookQueue(Database(sys.argv[1])), allow_private=True).run_once()
"""


def test_the_delivery_of_a_killed_deliverer_is_tried_again_after_its_lease(
    postgres_url, receiver, wait_until
):
    database = Database(postgres_url)
    service = Service(database)
    released = threading.Event()
    receiver.hold = lambda: released.wait(30)
    # By the database's own clock, which is that of the other process.
    delivery = WebhookStore(database).add_trial(service.register(receiver.url).id)
    killed = subprocess.Popen([sys.executable, "-c", KILLED_DELIVERER, postgres_url])
    wait_until(lambda: receiver.requests)
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=10)
    released.set()
    deliverer = service.deliverer()
    service.clock.now = service.after(delivery).next_attempt_at - timedelta(seconds=1)
    assert deliverer.run_once() == 0
    service.clock.advance(1)
    assert deliverer.run_once() == 1
    after = service.after(delivery)
    assert (after.state, [one.number for one in after.attempts]) == (DeliveryState.DELIVERED, [2])
    service.close()
    database.close()


def test_it_runs_until_it_is_stopped_outlives_defects_and_clears_the_log(
    service, receiver, wait_until, caplog
):
    class DefectError(Exception):
        pass

    def resolve(host, _port):
        if host == "defect.test":
            raise DefectError
        return ["127.0.0.1"]

    old = service.trial(service.register(receiver.url))
    service.store.update(old.webhook_id, {"enabled": False})
    service.clock.advance(31 * 86_400)
    lost = service.trial(service.register(f"http://defect.test:{receiver.port}/"))
    found = service.trial(service.register(f"http://hooks.test:{receiver.port}/"))
    stop = threading.Event()
    thread = threading.Thread(target=service.deliverer(resolve=resolve).run_forever, args=(stop,))
    thread.start()
    wait_until(lambda: service.after(found).state is DeliveryState.DELIVERED)
    wait_until(lambda: "tried again after its lease" in caplog.text)
    wait_until(lambda: not service.store.deliveries(old.webhook_id, limit=1).deliveries)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    after = service.after(lost)
    assert after.state is DeliveryState.PENDING
    assert after.next_attempt_at == service.clock.now + timedelta(seconds=LEASE_S)
