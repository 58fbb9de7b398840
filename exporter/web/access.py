"""What stands before every endpoint: the rate limit, passwords, and headers of responses."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.config.loaded import WebConfig
from exporter.web.config.passwords import Credentials, Passwords, credentials_of
from exporter.web.config.rate_limit import TokenBucket

MOST_WAITING = 64
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="devin-exporter", charset="UTF-8"'}
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
}


class Access:
    """Middleware that lets requests pass as the web configuration says.

    Args:
        config: gives the configuration in use.
        monotonic: seconds.
    """

    def __init__(
        self, app: ASGIApp, *, config: Callable[[], WebConfig], monotonic: Callable[[], float]
    ) -> None:
        self._app = app
        self._config = config
        self._monotonic = monotonic
        self._bucket = TokenBucket(config().rate_limit, monotonic)
        self._passwords = Passwords()
        # One at a time, beside the threads that everything else uses.
        self._bcrypt = ThreadPoolExecutor(1, "bcrypt")
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        config = self._config()
        sending = _adding({**_SECURITY, **config.headers}, send)
        refusal = await self._refusal(config, scope)
        await (refusal or self._app)(scope, receive, sending)

    async def _refusal(self, config: WebConfig, scope: Scope) -> PlainTextResponse | None:
        if config.rate_limit != self._bucket.limit:
            self._bucket = TokenBucket(config.rate_limit, self._monotonic)
        if not self._bucket.take():
            return PlainTextResponse("Too Many Requests\n", 429)
        if not config.users:
            return None
        given = credentials_of(Headers(scope=scope).get("Authorization", ""))
        if given is not None:
            if self._passwords.remembered(config.users, given):
                return None
            if self._waiting >= MOST_WAITING:
                return PlainTextResponse("Too many passwords are being checked\n", 503)
            if await self._verify(config.users, given):
                return None
        return PlainTextResponse("Unauthorized\n", 401, headers=_CHALLENGE)

    async def _verify(self, users: Mapping[str, str], given: Credentials) -> bool:
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._bcrypt, self._passwords.verify, users, given)
        finally:
            self._waiting -= 1


def _adding(headers: Mapping[str, str], send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            response = MutableHeaders(scope=message)
            for name, value in headers.items():
                response[name] = value
        await send(message)

    return sending
