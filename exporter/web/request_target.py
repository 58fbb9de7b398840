"""Request targets in absolute form, as clients of a proxy send them."""

from urllib.parse import urlsplit


def origin_form(target: bytes) -> bytes:
    """Turn `http://host/path` into `/path`, as RFC 9112 demands.

    Any other target that is no path becomes one that does not exist.
    """
    if target.startswith(b"/"):
        return target
    try:
        url = urlsplit(target)
    except ValueError:
        return b"/" + target
    if url.scheme not in {b"http", b"https"} or not url.netloc:
        return b"/" + target
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")
