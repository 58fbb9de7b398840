"""A response that shares its body with others instead of copying it."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 2**18


class Parts(Response):
    """Sends a body in pieces, each once the one before was read.

    A slow reader then holds one piece in memory, not a copy of the whole body.
    """

    def __init__(self, parts: Sequence[bytes], *, headers: Mapping[str, str]) -> None:
        size = sum(len(part) for part in parts)
        super().__init__(headers={**headers, "Content-Length": str(size)})
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and the body."""
        del scope, receive
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        for part in self._parts:
            whole = memoryview(part)
            for start in range(0, len(part), PIECE_BYTES):
                piece = whole[start : start + PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
