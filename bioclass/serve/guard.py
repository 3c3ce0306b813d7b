"""Who may ask: no page of another site, under whatever name it reaches this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bioclass.serve.limits import Refused

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SAFE = ("GET", "HEAD")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine and no other reaches it."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str) -> Callable[[str], bool]:
    """Return what tells whether a server on ``host`` is meant by the name in a request.

    A name that its owner makes point at this machine (DNS rebinding) would make a stranger's page one of ours.
    An address cannot be made to point elsewhere, so behind an open host any is good.
    """
    if is_loopback(host):
        return is_loopback
    names = {name.lower() for name in (host, socket.gethostname(), socket.getfqdn())}

    def allowed(name: str) -> bool:
        if is_loopback(name) or name.lower().rstrip(".") in names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    return allowed


class Guard:
    """Refuses requests under strange names and from other sites, and lets no answer be read or framed by them."""

    def __init__(self, app: ASGIApp, host: str, refuse: Callable[[Refused], ASGIApp]) -> None:
        self._app = app
        self._allowed = allowed_hosts(host)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._problem(scope["method"], Headers(scope=scope), scope)
        app = self._app if problem is None else self._refuse(problem)
        await app(scope, receive, guarded)

    def _problem(self, method: str, headers: Headers, scope: Scope) -> Refused | None:
        host = headers.get("host", "")
        name = _hostname(host)
        if name is None or not self._allowed(name):
            return Refused(421, f"This server is not {host[:100]!r}: ask it by the address that it told.")
        if method in SAFE:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and origin != f"{scope['scheme']}://{host}") or site not in ("same-origin", "none"):
            return Refused(403, "Pages of other sites may not ask this server.")
        return None


def _hostname(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    plain = parts.netloc == host and not parts.username and "@" not in host
    return parts.hostname if plain else None
