import pytest

from facerec_cli.training.config import ScheduleSettings
from facerec_cli.training.optimizer import schedule_factor


def rates(steps, per_epoch, **settings):
    return [schedule_factor(ScheduleSettings(**settings), step, per_epoch, steps) for step in range(steps)]


def test_warmup_is_linear_and_ends_at_one():
    assert rates(8, 4, name="constant", warmup=1.0) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_step_divides_at_the_milestones():
    found = rates(6, 2, name="step", warmup=0.0, milestones=(1, 2), gamma=0.1)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_polynomial_is_insightfaces():
    assert rates(4, 4, name="polynomial", warmup=0.0, power=2.0) == pytest.approx([1, 0.5625, 0.25, 0.0625])


def test_cosine_starts_at_one_and_is_half_way_in_the_middle():
    found = rates(10, 10, name="cosine", warmup=0.0)
    assert found[0] == 1
    assert found[5] == pytest.approx(0.5)
    assert found == sorted(found, reverse=True)
