"""Request targets in absolute form, as clients of a proxy send them."""

from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send


class OriginForm:
    """Middleware that turns `GET http://host/path` into `GET /path`, as RFC 9112 demands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path = _path_of(scope["raw_path"].decode("ascii"))
        await self._app({**scope, "path": path} if path else scope, receive, send)


def _path_of(target: str) -> str | None:
    """The path of an absolute-form target; None for any other."""
    try:
        url = urlsplit(target)
    except ValueError:
        return None
    if url.scheme not in {"http", "https"} or not url.netloc:
        return None
    return unquote(url.path) or "/"
