import json
import socket

import pytest
import redis
from kombu.transport import redis as redis_transport

from service import task_queue
from service.task_queue import TASK_NAME, Doorbell, celery_app, take_messages_for_good


@pytest.fixture
def doorbell_to(settings_factory):
    return lambda url: Doorbell(celery_app(settings_factory(broker_url=url)))


def test_a_ring_puts_a_message_without_state_into_the_queue(doorbell_to, redis_url):
    doorbell = doorbell_to(redis_url)
    assert doorbell.num_waiting("default") == 0
    doorbell.ring("default")
    doorbell.ring("default", times=2)
    doorbell.close()
    assert doorbell.num_waiting("default") == 3
    assert doorbell.num_waiting("other") == 0
    with redis.Redis.from_url(redis_url) as client:
        message = json.loads(client.lindex("default", 0))
    assert message["headers"]["task"] == TASK_NAME
    assert message["headers"]["argsrepr"] == "('default',)"
    assert message["headers"]["expires"] is not None


def test_without_a_broker_a_ring_is_dropped_and_nothing_raised(doorbell_to, unused_port):
    doorbell = doorbell_to(f"redis://127.0.0.1:{unused_port}/0")
    doorbell.ring("default")
    doorbell.close()
    assert doorbell.num_waiting("default") is None


def test_a_broker_that_takes_connections_and_does_not_answer_is_away(doorbell_to, monkeypatch):
    monkeypatch.setattr(task_queue, "ANSWER_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        doorbell = doorbell_to(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert doorbell.num_waiting("default") is None
        doorbell.ring("default")
        doorbell.close()


def test_a_burst_of_rings_is_bounded(doorbell_to, redis_url):
    doorbell = doorbell_to(redis_url)
    doorbell.ring("default", times=1_000_000)
    doorbell.close()
    assert doorbell.num_waiting("default") == 64


def test_messages_that_would_wake_nobody_are_not_published(doorbell_to, redis_url):
    for _ in range(2):
        doorbell = doorbell_to(redis_url)
        doorbell.ring("default", times=1_000_000)
        doorbell.close()
    assert doorbell.num_waiting("default") == 64


def test_the_first_ring_after_a_quiet_time_does_not_wait(doorbell_to, redis_url, wait_until):
    doorbell = doorbell_to(redis_url)
    doorbell.ring("default")
    wait_until(lambda: doorbell.num_waiting("default") == 1)
    doorbell.ring("default")
    wait_until(lambda: doorbell.num_waiting("default") == 2)
    doorbell.close()


def test_a_worker_does_not_put_back_what_it_took(redis_url, settings_factory, monkeypatch):
    monkeypatch.setattr(redis_transport.Channel, "do_restore", True)
    app = celery_app(settings_factory(broker_url=redis_url))
    take_messages_for_good()

    app.send_task(TASK_NAME, queue="default")
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        assert channel.basic_get("default") is not None
    with app.connection_for_read() as connection:
        assert connection.default_channel.basic_get("default") is None


def test_a_message_of_a_connection_that_is_gone_is_acknowledged_in_silence(
    redis_url, settings_factory, monkeypatch
):
    monkeypatch.setattr(redis_transport.Channel, "do_restore", True)
    take_messages_for_good()
    app = celery_app(settings_factory(broker_url=redis_url))
    app.send_task(TASK_NAME, queue="default")
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("default")
    message.ack()
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("unacked*") == []
