"""The teams file in YAML: `teams` has each team by its name."""

import yaml

from exporter.sources.devin.derived.teams.document import (
    Document,
    Faults,
    Kind,
    Rule,
    Team,
    TeamsFileError,
)

_KINDS: dict[str, Kind] = {"users": "user", "emails": "email", "groups": "group"}
_KEYS = ("cost_center", "budget", *_KINDS)
_NOTHING = {"", "~", "null", "Null", "NULL"}


def read_yaml(text: str) -> Document:
    """Read a file.

    Raises:
        TeamsFileError: naming each fault by its line.
    """
    faults = Faults()
    teams: dict[str, Team] = {}
    rules: list[Rule] = []
    for key, value in _pairs(_root(text), faults, what="the file"):
        if key.value != "teams":
            faults.unknown(_line(key), key.value, ("teams",))
            continue
        for name, body in _pairs(value, faults, what="teams"):
            team = faults.team(_line(name), name.value)
            teams[team] = _team(team, body, faults, rules)
    faults.end()
    if not teams:
        raise TeamsFileError(("has no team; it wants to be a mapping `teams: …`",))
    return Document(teams, tuple(rules))


def _root(text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        hint = " (a pattern that begins with `*` wants quotes)" if "*" in _at(text, mark) else ""
        raise TeamsFileError((f"{place}is no YAML{hint}",)) from None
    except (yaml.YAMLError, RecursionError):
        raise TeamsFileError(("is no YAML",)) from None
    if root is None:
        raise TeamsFileError(("is empty",))
    return root


def _at(text: str, mark: yaml.Mark | None) -> str:
    """The line of a mark."""
    lines = text.splitlines()
    return lines[mark.line] if mark and mark.line < len(lines) else ""


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _pairs(
    node: yaml.Node, faults: Faults, *, what: str
) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """The keys and values of a mapping, each key once."""
    if not isinstance(node, yaml.MappingNode):
        if not (isinstance(node, yaml.ScalarNode) and node.value in _NOTHING):
            faults.note(_line(node), f"{what}: wants to be a mapping")
        return []
    pairs: dict[str, tuple[yaml.ScalarNode, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            faults.note(_line(key), f"{what}: a key wants to be a text")
        elif key.value in pairs:
            first = _line(pairs[key.value][0])
            faults.note(_line(key), f"{what}: the same key stands in line {first} already")
        else:
            pairs[key.value] = (key, value)
    return list(pairs.values())


def _team(name: str, body: yaml.Node, faults: Faults, rules: list[Rule]) -> Team:
    cost_center, budget = "", None
    for key, value in _pairs(body, faults, what="team"):
        line = _line(value)
        if key.value == "cost_center":
            cost_center = faults.label(line, _scalar(value, faults, what=key.value), what=key.value)
        elif key.value == "budget":
            budget = faults.budget(line, _scalar(value, faults, what=key.value))
        elif key.value in _KINDS:
            kind = _KINDS[key.value]
            for item in _items(value):
                pattern = _scalar(item, faults, what=key.value)
                if not pattern and isinstance(item, yaml.ScalarNode):
                    faults.note(_line(item), f"{key.value}: an entry is empty")
                rules.append(Rule(_line(item), kind, pattern, name))
        else:
            faults.unknown(_line(key), key.value, _KEYS)
    return Team(name, cost_center, budget)


def _items(node: yaml.Node) -> list[yaml.Node]:
    """The entries of a list; a single text counts as a list of one, and nothing as none."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.ScalarNode) and node.value in _NOTHING:
        return []
    return [node]


def _scalar(node: yaml.Node, faults: Faults, *, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        faults.note(_line(node), f"{what}: wants a text")
        return ""
    text = str(node.value).strip()
    return "" if node.style is None and text in _NOTHING else text
