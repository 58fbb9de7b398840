"""A good response for every endpoint: a payload that was recorded, else the simulated API's."""

import json
import re
from collections.abc import Mapping

from pydantic import TypeAdapter

from exporter.client.models import ListPage, ResponseModel, Unreadable, parse_response
from exporter.demo.endpoints import Call, DemoKey, endpoints
from exporter.demo.people import Size
from exporter.demo.responses import Responses
from exporter.demo.world import World
from exporter.errors import PollError
from exporter.sources import SOURCES
from tests.support.fuzzing import mutated
from tests.support.rig import PAYLOADS, at, recorded

Shape = TypeAdapter[object]

NOW = at("2026-03-20 15:30:00")
SHAPES: Mapping[str, Shape] = {
    endpoint.path: endpoint.response for source in SOURCES for endpoint in source.endpoints
}
"""The type of the response of all that is ever requested, by path."""

VARIANTS = "variants"
"""The folders of responses that differ from the usual one of their endpoint."""
USUAL = [path for path in PAYLOADS.rglob("*.json") if path.parent.name != VARIANTS]

_PAYLOADS: Mapping[str, object] = {
    **{path.stem: recorded(path) for path in sorted(USUAL, key=lambda path: path.stem)},
    "hypervisors": {
        "items": [
            {"hypervisor_id": "h-1", "status": "available", "utilization_percentage": 41.5},
            {"hypervisor_id": "h-2", "status": "restarting", "utilization_percentage": 0},
        ],
        "end_cursor": None,
        "has_next_page": False,
    },
    "guardrails": {
        "items": [
            {
                "violation_id": number,
                "guardrail_name": 'No "secrets"',
                "action_taken": action,
                "created_at": int(NOW) - 86_400 * number,
                "reasoning": "nobody's business",
            }
            for number, action in enumerate(("blocked", "warned", "blocked"))
        ],
        "end_cursor": None,
        "has_next_page": False,
    },
}


def read(name: str, shape: Shape, body: bytes) -> object:
    """What a parser makes of a body; None where it refuses it with an error of the tree."""
    try:
        return parse_response(name, shape, body)
    except PollError:
        return None


def _fields_filled(value: object) -> int:
    """How many fields of models a response fills; 0 if a row cannot be read, or all are empty."""
    if isinstance(value, ListPage):
        return _fields_filled(value.items)
    if isinstance(value, ResponseModel):
        values = [
            getattr(value, name)
            for name in type(value).model_fields.keys() & value.model_fields_set
        ]
        rows = [each for each in values if isinstance(each, tuple) and _has_models(each)]
        if rows and not any(map(_fields_filled, rows)):
            return 0
        return sum(1 + _fields_filled(each) for each in values)
    if isinstance(value, tuple) and not any(isinstance(item, Unreadable) for item in value):
        return sum(_fields_filled(item) for item in value)
    return 0


def _has_models(rows: tuple[object, ...]) -> bool:
    return any(isinstance(row, ResponseModel) for row in rows)


def _simulated() -> dict[str, object]:
    """What the simulated API says, by path, where no payload has the shape of the response."""
    world = World(Size(organizations=2, users=8, days=60), start=NOW)
    (org_id, _), person = world.organizations[0], world.people[0]
    ids = {"org_id": org_id, "user_id": person.id, "service_user_id": person.id}
    window = {"time_after": f"{NOW - 20 * 86_400:.0f}", "time_before": f"{NOW:.0f}"}
    found: dict[str, object] = {}
    for endpoint in endpoints(Responses(world, lambda: NOW)):
        if endpoint.path in SHAPES and not _of_shape(SHAPES[endpoint.path], _PAYLOADS):
            response = endpoint.respond(Call(ids, window, DemoKey(api=endpoint.api)))
            page = {"items": response, "end_cursor": None, "has_next_page": False}
            found[endpoint.path] = json.loads(json.dumps(page if endpoint.paged else response))
    return found


def _of_shape(shape: Shape, responses: Mapping[str, object]) -> list[str]:
    """Those of the responses that fill fields of a shape, by name."""
    return [
        name
        for name, response in responses.items()
        if _fields_filled(read(name, shape, mutated(response, 0)))
    ]


RECORDED: Mapping[str, object] = {**_PAYLOADS, **_simulated()}
"""Every good response, by the name of its payload or by its path."""

ANSWERS = {path: _of_shape(shape, RECORDED) for path, shape in SHAPES.items()}
SHAPE_OF = {name: SHAPES[path] for path, names in ANSWERS.items() for name in names}


def recorded_for(path: str) -> str:
    """The recorded response of an endpoint: the one of its name, where several are of its shape."""
    named = path.rpartition("/")[2].replace("-", "_")
    names = [name for name in ANSWERS[path] if name in {named, path}] or ANSWERS[path] or [""]
    return names[-1 if "{" in path else 0]


def pattern_of(path: str) -> re.Pattern[str]:
    """What the paths of an endpoint look like."""
    return re.compile(re.sub("{[a-z_]+}", "[^/?]+", path))


NAMES = [(pattern_of(path), recorded_for(path)) for path in SHAPES]
"""The recorded response of each path."""


def name_of(path: str) -> str:
    """The recorded response that a path is asked for."""
    return next(name for pattern, name in NAMES if pattern.fullmatch(path))
