"""Blocks every connection of this process for `--offline`. Knows sockets; not who wanted one, or why.

Every connection that Python makes is seen by the interpreter's own audit events, whatever library asks for it. What is
not for this machine itself is refused before a packet leaves, name lookups included, with a NetworkError that goes
through every library to the user. There is no way back: a hook cannot be removed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from mmcli.errors import NetworkError

if TYPE_CHECKING:
    import socket

# Variables that ask for the same; the first is mmcli's own, the others are the Hub's (huggingface_hub, transformers).
VARIABLES = ("MMCLI_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")
_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname"}
_REVERSE_LOOKUPS = {"socket.gethostbyaddr", "socket.getnameinfo"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
# Where the address stands among each method's arguments.
_METHODS = {"connect": 0, "connect_ex": 0, "sendto": -1, "sendmsg": 3}
_LOCAL_FAMILIES = ("AF_UNIX", "AF_NETLINK")

_on = False
_refused: list[str] = []


def is_on() -> bool:
    """Whether connections are forbidden, by `forbid` or by a variable."""
    return _on or _variable() is not None


def forbid() -> None:
    """From now on, refuse every connection of this process that is not to this machine itself."""
    global _on
    if _on:
        return
    _on = True
    # A proxy on this machine would carry everything out of it, and children must keep to the same rule.
    for name in PROXIES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    if _variable() is None:
        os.environ[VARIABLES[0]] = "1"
    sys.addaudithook(_hook)
    import socket

    # The events of these come after Python has looked up a host's name: that lookup must not leave either.
    for method, position in _METHODS.items():
        if hasattr(socket.socket, method):
            setattr(socket.socket, method, _checked(getattr(socket.socket, method), position))


def refusal(what: str) -> NetworkError:
    """The error for `what`, such as "no connection to `example.org`", that says who forbade it."""
    variable = _asked_by if _on else _variable()
    if variable:
        return NetworkError(f"{what}: {variable} forbids connections", hint="unset it for this one command")
    return NetworkError(f"{what}: --offline forbids connections", hint="leave it out, or `offline` in config.toml")


def refused() -> tuple[str, ...]:
    """The hosts to which this process was not let connect."""
    return tuple(_refused)


def _variable() -> str | None:
    """The variable that forbids connections."""
    for name in VARIABLES:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return name
    return None


_asked_by = _variable()  # before `forbid` sets one itself


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _LOOKUPS:
        _check_host(args[0])
    elif event in _REVERSE_LOOKUPS:
        host = _text(args[0][0] if isinstance(args[0], tuple) else args[0])
        if not _is_here(host):
            raise _no(host)
    elif event in _SENDS and args[1] is not None:
        _check_address(args[0].family, args[1])


def _checked(method: Any, position: int) -> Any:
    def call(self: socket.socket, *args: Any) -> Any:
        if position < len(args) and args[position] is not None:
            _check_address(self.family, args[position])
        return method(self, *args)

    return call


def _check_address(family: int, address: Any) -> None:
    import socket

    if family in [getattr(socket, name, None) for name in _LOCAL_FAMILIES]:
        return
    is_inet = family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and address
    if not is_inet:
        raise _no(str(address))
    if not _is_here(_text(address[0])):
        raise _no(_text(address[0]))


def _check_host(host: Any) -> None:
    """A name is looked up on the network, but for this machine's own; an address is not, and a connection will say."""
    name = _text(host)
    if name and not _is_address(name) and not _is_here(name):
        raise _no(name)


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")


def _is_address(name: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    """Whether a host's name or address can only be this machine itself."""
    import ipaddress

    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:127.0.0.1
    return bool((mapped or address).is_loopback)


def _no(host: str) -> NetworkError:
    _refused.append(host)
    return refusal(f"no connection to `{host}`")
