from concurrent.futures import ThreadPoolExecutor

import pytest

from service.storage.leader_lease import LeaderLease


@pytest.fixture
def candidate(database):
    def make(owner, *, lease_s=60.0, name="reconciler"):
        return LeaderLease(database, name=name, owner=owner, lease_s=lease_s)

    return make


def test_one_leads_and_the_others_stand_by(candidate):
    first, second = candidate("first"), candidate("second")
    assert [first.hold(), second.hold(), first.hold()] == [True, False, True]


def test_another_takes_over_when_the_lease_has_expired_and_the_first_stands_by(
    candidate, wait_until
):
    first, second = candidate("first", lease_s=0.05), candidate("second")
    assert first.hold()
    wait_until(second.hold)
    assert not first.hold()


def test_a_leader_that_lets_go_is_followed_at_once(candidate):
    first, second = candidate("first"), candidate("second")
    first.hold()
    second.let_go()
    assert not second.hold(), "only a leader has something to let go"
    first.let_go()
    assert second.hold()


def test_every_name_has_a_leader_of_its_own(candidate):
    assert candidate("first").hold()
    assert candidate("second", name="another").hold()


def test_of_twelve_that_ask_at_once_one_leads(candidate):
    candidates = [candidate(str(number)) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(LeaderLease.hold, candidates)) == 1
