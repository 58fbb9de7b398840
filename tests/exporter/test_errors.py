"""The error tree."""

import inspect

import pytest

from exporter import errors


def leaves() -> list[type[errors.PollError]]:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    return [c for c in classes if issubclass(c, errors.PollError) and "reason" in vars(c)]


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    assert errors.__doc__ is not None
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.PollError):
            assert name.endswith("Error")
            assert name in errors.__doc__


def test_every_leaf_has_a_reason_of_its_own() -> None:
    reasons = [leaf.reason for leaf in leaves()]
    assert len(set(reasons)) == len(reasons)
    published = set(errors.failure_reasons())
    assert published == {*reasons, "internal"} - {"stopped", "switched_off"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, errors.BadRequestError),
        (301, errors.RedirectedError),
        (308, errors.RedirectedError),
        (401, errors.KeyRefusedError),
        (403, errors.PermissionMissingError),
        (404, errors.NotFoundError),
        (408, errors.ServerFailedError),
        (410, errors.NotFoundError),
        (418, errors.BadRequestError),
        (422, errors.BadRequestError),
        (429, errors.RateLimitedError),
        (500, errors.ServerFailedError),
        (599, errors.ServerFailedError),
    ],
)
def test_every_status_has_its_error(status: int, kind: type[errors.RejectedError]) -> None:
    assert errors.error_for_status(status) is kind


def test_a_partial_failure_tells_how_many_and_why_without_naming_anybody() -> None:
    failures: dict[str, errors.PollError] = {
        "email|ada": errors.ServerFailedError("/v3/x answered 500"),
        "email|bob": errors.ServerFailedError("/v3/x answered 503"),
        "email|eve": errors.DeadlineError("/v3/x did not answer in time"),
    }
    partial = errors.PartialError(failures, asked=10, complete=False)
    assert str(partial) == (
        "3 of 10 failed (server_error 2, timeout 1); gave up on the rest until the next poll; "
        "first: /v3/x answered 500"
    )
    assert partial.reasons == {"server_error", "timeout"}
    assert not partial.complete
