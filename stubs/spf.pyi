"""The part of pyspf that is used here."""

import ipaddress
from typing import Any

MAX_LOOKUP: int
MAX_VOID_LOOKUPS: int

class TempError(Exception):
    def __init__(self, msg: str) -> None: ...

class PermError(Exception):
    def __init__(self, msg: str) -> None: ...

class query:  # noqa: N801 - pyspf's name
    ipaddr: ipaddress.IPv4Address | ipaddress.IPv6Address
    lookups: int
    void_lookups: int
    l: str
    o: str
    d: str
    def __init__(self, i: str, s: str, h: str, *, strict: bool = True) -> None: ...
    def check(self) -> tuple[str, int, str]: ...
    def dns(
        self, name: str, qtype: str, cnames: dict[str, str] | None = None, ignore_void: bool = False
    ) -> list[Any]: ...
    def validated_ptrs(self) -> list[str]: ...
    def get_explanation(self, spec: str) -> Any: ...
