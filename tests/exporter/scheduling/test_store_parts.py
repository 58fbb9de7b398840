"""What a page is made of stays while it does not change."""

from exporter.exposition.page import Part
from exporter.metrics import Metric
from exporter.scheduling.store import Store
from exporter.scheduling.task import Snapshot, Task

USERS = Metric("some_users", "Users.", ("of",))
QUEUE = Metric("some_queue", "A queue.")


def task(name: str, metric: Metric) -> Task:
    """A task that is published by hand."""
    return Task(
        name=name,
        source="test",
        interval=60,
        metrics=(metric,),
        poll=lambda: None,
        snapshot=lambda _now, _max_age: Snapshot(),
    )


def part(store: Store, name: str) -> Part:
    """The part of the page that a task has."""
    return store.states()[name].part


def test_a_change_of_the_queue_leaves_the_bytes_of_the_users_as_they_are() -> None:
    store = Store([task("users", USERS), task("queue", QUEUE)])
    many = tuple(USERS(number, of=f"user-{number}") for number in range(5_000))
    store.publish("users", Snapshot(many), now=1.0)
    store.publish("queue", Snapshot((QUEUE(1),)), now=1.0)
    store.refresh_page()
    before = part(store, "users")
    store.publish("queue", Snapshot((QUEUE(2),)), now=2.0)
    store.refresh_page()
    assert part(store, "users") is before
    assert any(text is before.text for text in store.page.texts)
    assert any(before.deflated in deflated for deflated in store.page.deflated)
    assert b"some_queue 2\n" in store.page.text


def test_users_that_are_published_again_and_have_not_changed_are_not_compressed_again() -> None:
    store = Store([task("users", USERS)])
    store.publish("users", Snapshot((USERS(1, of="it"),)), now=1.0)
    before = part(store, "users")
    store.publish("users", Snapshot((USERS(1, of="it"),)), now=2.0)
    assert part(store, "users") is before
    store.publish("users", Snapshot((USERS(2, of="it"),)), now=3.0)
    assert part(store, "users") is not before
