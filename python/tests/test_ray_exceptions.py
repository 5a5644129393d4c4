"""What Raceline raises is caught by the names that Ray programs catch."""

import builtins

import pytest
from opaque import opaque

import raceline as ray
from raceline import errors
from raceline.data.exceptions import (
    ExecutionTimeoutError,
    RayDataUserCodeException,
    SystemException,
    UserCodeException,
)


class QuotaError(Exception):
    cause = "a field of the user's"

    def __init__(self, left):
        super().__init__(f"{left} left")
        self.left = left


def fail(row):
    raise QuotaError(0)


@pytest.mark.parametrize(
    "caught",
    [
        ray.exceptions.RayError,
        ray.exceptions.RayTaskError,
        ray.exceptions.UserCodeException,
        UserCodeException,
        RayDataUserCodeException,
        QuotaError,
        errors.UdfError,
    ],
)
def test_a_function_that_fails_is_caught_by_each_name(caught):
    with pytest.raises(caught) as raised:
        ray.data.range(1).map(fail).take_all()
    assert isinstance(raised.value.cause, QuotaError)
    assert raised.value.cause is raised.value.__cause__
    assert raised.value.left == 0


def test_a_field_cause_of_the_users_own_wins():
    def fail(row):
        error = ValueError("no")
        error.cause = "of the user's"
        raise error

    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        ray.data.range(1).map(fail).take_all()
    assert caught.value.cause == "of the user's"
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_file_that_is_not_there_is_a_task_error_and_a_built_in_one(tmp_path):
    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        ray.data.read_parquet(str(tmp_path / "none.parquet")).take_all()
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.cause is None


@pytest.mark.parametrize(
    "caught",
    [
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.RayActorError,
        ray.exceptions.ActorDiedError,
    ],
)
def test_a_lack_of_resources_is_caught_by_each_name(caught):
    with pytest.raises(caught):
        ray.data.range(3).map(opaque(lambda row: row), num_gpus=99).take_all()


def test_wrong_arguments_are_no_errors_of_a_run():
    with pytest.raises(ValueError, match="`limit` must be an int") as caught:
        ray.data.range(3).limit(-1)
    assert not isinstance(caught.value, ray.exceptions.RayError)


def test_the_other_kinds_have_rays_names():
    assert issubclass(errors.CancelledError, ray.exceptions.TaskCancelledError)
    assert issubclass(errors.InternalError, ray.exceptions.RaySystemError)
    assert issubclass(errors.InternalError, SystemException)
    assert not issubclass(ExecutionTimeoutError, ray.exceptions.RayError)


@pytest.mark.parametrize(
    "kind",
    [one for one in vars(builtins).values() if isinstance(one, type) and issubclass(one, OSError)],
)
def test_functions_may_raise_any_error_of_the_system(kind):
    derived = errors.udf_error_class(kind)
    assert issubclass(derived, kind)
    assert issubclass(derived, ray.exceptions.RayTaskError)
