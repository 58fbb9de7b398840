"""`python -m grafana.build` writes the dashboards as JSON; CI compares them."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import monthly_report, people
from grafana.boards.adoption import board as adoption
from grafana.boards.ai_spend import board as ai_spend
from grafana.boards.cost import board as cost
from grafana.boards.exporter import board as exporter
from grafana.boards.overview import board as overview
from grafana.boards.queue_and_sessions import board as queue_and_sessions
from grafana.boards.teams import board as teams
from grafana.builders.board import Board

FOLDER = Path(__file__).parent / "dashboards"
BOARDS: tuple[Board, ...] = tuple(
    module.BOARD
    for module in (
        overview,
        cost,
        teams,
        monthly_report,
        ai_spend,
        adoption,
        people,
        queue_and_sessions,
        exporter,
    )
)


def documents() -> dict[str, str]:
    """Every dashboard's file name and text."""
    return {
        f"{board.uid}.json": json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True)
        + "\n"
        for board in BOARDS
    }


def main(folder: Path = FOLDER) -> None:
    """Write them all."""
    folder.mkdir(exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
