"""The rendered texts of the chart, as resources of Kubernetes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from deploy.manifests.files import GOLDEN
from deploy.manifests.rendered import CASES

Table = Mapping[str, object]
WITH_PODS = {"Deployment", "StatefulSet", "CronJob"}


def table(value: object) -> Table:
    """A mapping, which it must be."""
    assert isinstance(value, Mapping), value
    return value


def entries(value: object) -> list[Table]:
    """A list of mappings, which it must be."""
    assert isinstance(value, list), value
    return [table(each) for each in value]


def at(value: object, *path: str) -> object:
    """What stands at a path, which must be there."""
    for key in path:
        assert key in table(value), f"{key} is not in {value}"
        value = table(value)[key]
    return value


@dataclass(frozen=True, slots=True)
class Resource:
    """One document of a rendered text."""

    case: str
    document: Table

    @property
    def kind(self) -> str:
        """Such as `Deployment`."""
        return str(self.document["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(at(self.document, "metadata", "name"))

    @property
    def pod(self) -> Table:
        """The specification of its pods."""
        way = ("jobTemplate", "spec", "template") if self.kind == "CronJob" else ("template",)
        return table(at(self.document, "spec", *way, "spec"))

    @property
    def container(self) -> Table:
        """The one container of its pods."""
        (container,) = entries(self.pod["containers"])
        return container

    @property
    def variables(self) -> dict[str, str]:
        """The variables of that container."""
        given = entries(self.container["env"])
        assert all(each.keys() == {"name", "value"} for each in given)
        return {str(each["name"]): str(each["value"]) for each in given}


def resources(case: str) -> Iterator[Resource]:
    """What one text has."""
    text = (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8")
    for document in yaml.safe_load_all(text):
        yield Resource(case, table(document))


def one(case: str, *kinds: str) -> Resource:
    """The only resource of these kinds that a text has."""
    (found,) = (each for each in resources(case) if each.kind in kinds)
    return found


ALL = [resource for case in CASES for resource in resources(case)]
