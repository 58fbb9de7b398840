"""What `devin-exporter check` says about the teams file: faults by line, and what it matches."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from exporter.sources.devin.derived.teams.document import TeamsFileError
from exporter.sources.devin.derived.teams.file import read_document
from exporter.sources.devin.derived.teams.memberships import Membership
from exporter.sources.devin.derived.teams.patterns import TeamMap

MOST_LINES = 20


def check_teams_file(
    path: Path, users: Mapping[str, Membership], bots: Iterable[str]
) -> tuple[tuple[str, ...], bool]:
    """Notes on a file, without any id or address, and whether it can be used.

    Args:
        users: all users by id.
        bots: the ids of all service users.
    """
    try:
        document = read_document(path)
    except TeamsFileError as broken:
        return tuple(f"teams file {path}: {line}" for line in broken.lines), False
    teams = TeamMap(document)
    of_users = [
        teams.rule_for(user_id, email=member.email, groups=member.groups or ())
        for user_id, member in users.items()
    ]
    of_bots = [teams.rule_for(bot) for bot in bots]
    used = {rule for rule in (*of_users, *of_bots) if rule}
    in_users, in_bots = (len(found) - found.count(None) for found in (of_users, of_bots))
    summary = (
        f"the teams file has {len(document.teams)} teams; in one of them are {in_users} of "
        f"{len(of_users)} users and {in_bots} of {len(of_bots)} service users"
    )
    notes = [summary]
    unused = [rule.line for rule in document.rules if rule not in used]
    if unused and users:
        shown = ", ".join(map(str, sorted(set(unused))[:MOST_LINES]))
        more = f" and {len(set(unused)) - MOST_LINES} more" if len(set(unused)) > MOST_LINES else ""
        notes.append(f"lines of the teams file that are the first match of nobody: {shown}{more}")
    return tuple(notes), True
