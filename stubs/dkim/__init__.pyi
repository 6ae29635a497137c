"""The part of dkimpy that is used here."""

from collections.abc import Callable, Sequence
from typing import Any

class DKIM:
    headers: Sequence[tuple[bytes, bytes]]
    signature_algorithm: bytes
    hasher: Callable[[], Any]
    def __init__(self, message: bytes | None = None) -> None: ...
    def gen_header(
        self,
        fields: list[tuple[bytes, bytes]],
        include_headers: Sequence[bytes],
        canon_policy: object,
        header_name: bytes,
        pk: object,
        standardize: bool = False,
    ) -> bytes: ...
