"""The hold queue of a Postfix: what lies there, its envelope and content, and its deletion. Needs root.

Postfix's own commands do it all: postqueue lists, postcat reads, postsuper deletes.

DIAGNOSTICS
    PostfixError: a command failed, with what it said. A message that leaves the queue meanwhile is left
    out of the list; read by name it is Gone.

STANDARDS
    postqueue(1) -j, postcat(1) -e, postsuper(1) -d. Postfix's named attributes, as of 3.7: log_ident is
    what XFORWARD IDENT said; the sixth figure of message_size has bit 0 set for SMTPUTF8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from postmask.address import quoted
from postmask.holding import Envelope
from postmask_postfix import commands
from postmask_postfix.commands import PostfixError
from postmask_postfix.lifetime import PARAMETERS, Lifetime
from postmask_postfix.queue import entries

_AT_ONCE = 200
_FIELD = re.compile(r"([a-z_]+): *(.*)")
_ATTRIBUTE = re.compile(r"([a-z_]+)=(.*)")
_CLIENT = {
    "ADDR": "log_client_address",
    "NAME": "log_client_name",
    "PORT": "log_client_port",
    "HELO": "log_helo_name",
}
_BEGINS = re.compile(r"^\*\*\* ENVELOPE RECORDS (?:\S*/)?([0-9A-Za-z]+) \*\*\*$", re.MULTILINE)


class Gone(PostfixError):  # noqa: N818 (a state rather than an error)
    """The message isn't on hold any more."""


class HoldQueue:
    """config_dir: of the Postfix."""

    def __init__(self, config_dir: Path) -> None:
        self._config_dir = config_dir

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return commands.queue_directory(self._config_dir) / "hold"

    def lifetime(self) -> float:
        """maximal_queue_lifetime in seconds."""
        return Lifetime.of(commands.values(self._config_dir, *PARAMETERS)).message

    def envelopes(self) -> list[Envelope]:
        """Of all that is on hold."""
        arrived = self._arrived()
        ids = sorted(arrived)
        found: list[Envelope] = []
        for start in range(0, len(ids), _AT_ONCE):
            found += parse_envelopes(self._envelope_text(ids[start : start + _AT_ONCE]), arrived)
        return found

    def content(self, queue_id: str) -> bytes:
        """Header and body, lines ending in CRLF. Raises Gone."""
        try:
            told = commands.octets(*self._command("postcat", "-q", "-hb", queue_id))
        except PostfixError as error:
            if queue_id in self._arrived():
                raise
            raise Gone(f"{queue_id} isn't on hold any more") from error
        return b"".join(line + b"\r\n" for line in told.removesuffix(b"\n").split(b"\n"))

    def delete(self, queue_ids: Iterable[str]) -> None:
        """Delete messages, if they are on hold; who isn't there any more is no error."""
        words = [word for queue_id in queue_ids for word in ("-d", queue_id)]
        commands.run(*self._command("postsuper", *words, "hold"))

    def _arrived(self) -> dict[str, float]:
        """Queue id → arrival of what is on hold."""
        return {
            entry["queue_id"]: float(entry["arrival_time"])
            for entry in entries(self._config_dir)
            if entry["queue_name"] == "hold"
        }

    def _envelope_text(self, queue_ids: list[str]) -> str:
        """postcat of them all at once; one by one where somebody has taken one away meanwhile."""
        try:
            return commands.run(*self._command("postcat", "-q", "-e", *queue_ids))
        except PostfixError:
            if len(queue_ids) > 1:
                return "".join(self._envelope_text([queue_id]) for queue_id in queue_ids)
            if queue_ids[0] in self._arrived():
                raise
            return ""

    def _command(self, name: str, *words: str) -> list[str]:
        return [name, "-c", str(self._config_dir), *words]


def parse_envelopes(text: str, arrived: dict[str, float]) -> Iterator[Envelope]:
    """What `postcat -e` says of one or several messages. arrived: when, by queue id."""
    parts = _BEGINS.split(text)
    for queue_id, records in zip(parts[1::2], parts[2::2], strict=True):
        yield _envelope(queue_id, records, arrived.get(queue_id, 0.0))


def _envelope(queue_id: str, records: str, arrived: float) -> Envelope:
    sender, size, smtputf8 = "", 0, False
    recipients = []
    attributes: dict[str, str] = {}
    for line in records.split("\n"):
        field = _FIELD.fullmatch(line)
        match field.groups() if field else None:
            case ("message_size", value):
                figures = value.split()
                size = int(figures[0])
                smtputf8 = len(figures) > 5 and bool(int(figures[5]) & 1)
            case ("sender", value):
                sender = quoted(value)
            case ("recipient", value):
                recipients.append(quoted(value))
            case ("named_attribute", value):
                attribute = _ATTRIBUTE.fullmatch(value)
                if attribute:
                    attributes.setdefault(attribute[1], attribute[2])
            case _:
                pass
    return Envelope(
        queue_id,
        sender,
        tuple(recipients),
        arrived,
        size,
        attributes.get("log_ident", ""),
        smtputf8,
        _client(attributes),
    )


def _client(attributes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Whom XFORWARD named; nobody where it is who had connected."""
    if attributes.get("log_client_address") == attributes.get("client_address"):
        return ()
    told = [(name, attributes.get(attribute, "")) for name, attribute in _CLIENT.items()]
    address = told[0][1]
    if ":" in address:
        told[0] = ("ADDR", f"IPV6:{address}")
    return tuple((name, value) for name, value in told if value not in ("", "unknown"))
