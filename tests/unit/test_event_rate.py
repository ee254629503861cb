import pytest

from runs import EventRate


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_as_many_as_are_due_in_a_second_may_come_at_once_and_then_one_after_the_other(clock):
    rate = EventRate(10, clock)
    assert [rate.take() for _ in range(13)] == [0] * 10 + [0.1, 0.2, 0.3]


def test_a_pause_is_not_saved_up_beyond_a_second(clock):
    rate = EventRate(10, clock)
    for _ in range(10):
        rate.take()
    clock.now += 0.5
    assert [rate.take() for _ in range(6)] == [0] * 5 + [0.1]
    clock.now += 3600
    assert [rate.take() for _ in range(11)] == [0] * 10 + [0.1]


def test_asking_for_the_delay_takes_nothing(clock):
    rate = EventRate(1, clock)
    assert [rate.delay_s] * 3 == [0] * 3
    rate.take()
    assert [rate.delay_s] * 3 == [1] * 3
