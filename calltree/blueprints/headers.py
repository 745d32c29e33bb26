"""Security headers, the same on every answer; a test compares the exact strings."""

from __future__ import annotations

from flask import Flask, Response, request

from calltree.blueprints.assets import version
from calltree.config import Settings

LOCAL_SWITCH = "ws://127.0.0.1:5066"
"""The switch for a page on its own machine, which needs no TLS for a microphone."""
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self' wss:",
        "object-src 'none'",
        "base-uri 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # a blanket microphone=() would silence the softphone
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def policy(settings: Settings) -> str:
    """Return the policy of this site: with a real switch pages may also reach it without TLS."""
    if settings.practice:
        return CONTENT_SECURITY_POLICY
    plain = [url for url in settings.switch_wss_urls or (LOCAL_SWITCH,) if url.startswith("ws:")]
    return CONTENT_SECURITY_POLICY.replace(" wss:", " ".join([" wss:", *plain]))


def init_app(app: Flask) -> None:
    """Set the headers; pages hold personal data and are never kept by a cache."""
    headers = HEADERS | {
        "Content-Security-Policy": policy(app.extensions["calltree.settings"]),
    }

    @app.after_request
    def set_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers[name] = value
        # a page without a live line notices at its next press that it was upgraded
        response.headers["X-App-Version"] = version()
        if request.endpoint != "assets.serve":
            response.headers["Cache-Control"] = "no-store"  # send_file would say no-cache
        return response
