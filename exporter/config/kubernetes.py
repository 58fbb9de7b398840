"""Environment variables that Kubernetes sets in every container, one set per Service."""

import re
from ipaddress import ip_address

_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
_IS_URL = re.compile(r".+_PORT(_\d+_(TCP|UDP|SCTP))?")
_IS_NUMBER = re.compile(r".+_(SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_PORT)")
_IS_ADDRESS = re.compile(r".+_(SERVICE_HOST|PORT_\d+_(TCP|UDP|SCTP)_ADDR)")
_IS_PROTOCOL = re.compile(r".+_PORT_\d+_(TCP|UDP|SCTP)_PROTO")


def describes_a_service(variable: str, value: str) -> bool:
    """Whether the name and value of a variable are those of a description of a Service.

    A Service named `demo-api` sets `DEMO_API_PORT=tcp://10.96.0.7:80`.
    """
    name = variable.upper()
    return bool(
        (_IS_URL.fullmatch(name) and _URL.fullmatch(value))
        or (_IS_NUMBER.fullmatch(name) and value.isdecimal())
        or (_IS_ADDRESS.fullmatch(name) and _is_address(value))
        or (_IS_PROTOCOL.fullmatch(name) and value in {"tcp", "udp", "sctp"})
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
