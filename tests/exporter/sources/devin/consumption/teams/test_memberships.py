"""Who belongs where, as the lists have it."""

import pytest

from exporter.errors import EntitiesUnknownError
from exporter.sources.devin.data_set import Context
from exporter.sources.devin.derived.teams.memberships import Memberships
from tests.exporter.sources.devin.consumption.teams.enterprise import (
    NOW,
    Enterprise,
    Person,
    polled,
)
from tests.support.rig import Clock


def test_a_list_that_was_too_old_when_it_was_read_is_used_once_it_is_fresh() -> None:
    made = Enterprise(Clock(NOW), users={"bob": Person(groups=["old"])})
    with polled(made) as running:
        context = Context.of(running.opened[0])
        _, users, *_ = context.directory.tasks(300, ranked_by="")
        for task in (context.identity.task(300), users):
            assert task.poll is not None
            task.poll()
        memberships = Memberships(context.directory, context.identity)
        known = memberships.known(NOW, 900, counted=frozenset())
        assert known.by_user["bob"].groups == frozenset({"old"})
        made.users["bob"].groups = ["new"]
        assert users.poll is not None
        users.poll()
        with pytest.raises(EntitiesUnknownError, match="too old"):
            memberships.known(NOW + 1_000, 900, counted=frozenset())
        known = memberships.known(NOW, 900, counted=frozenset())
        assert known.by_user["bob"].groups == frozenset({"new"})
