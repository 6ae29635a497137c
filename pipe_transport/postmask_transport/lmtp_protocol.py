"""An LMTP session without a socket: octets in, events and replies out.

The shell feeds what it reads to receive(), then asks next_event() until that is None ("more
octets, please"), answers a message that is given, and sends what take_output() gives. So the whole
dialogue can be replayed in tests at any buffer size. Of a recipient nothing is asked: all is decided
on the whole message.

DIAGNOSTICS
    452 4.3.1  the message is over the size limit. Postfix has accepted it, so it waits.
    500, 501, 503, 555  the peer broke the protocol. None of these carries our mark, so that the
               fence in master.cf turns them into deferrals.
    421 4.7.0  too many such faults in one session.

STANDARDS
    RFC 2033 (LMTP), RFC 5321 §4.1.1, §4.5.2 (transparency), RFC 2920 (pipelining),
    RFC 2034 (enhanced status codes), Postfix XFORWARD_README.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import replace

from postmask.verdict import Verdict, lmtp_reply
from postmask.xtext import text
from postmask_transport.lmtp_events import (
    Client,
    Closing,
    Envelope,
    Event,
    Limits,
    MessageGiven,
    TooLarge,
)
from postmask_transport.lmtp_syntax import GrammarError, parse_attributes, parse_path

EXTENSIONS = (
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "SIZE",  # without a limit: Postfix would bounce by itself what is over it
    "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
)
"""What LHLO announces. Not DSN: Postfix then answers NOTIFY=SUCCESS itself."""

LINE_LIMIT = 8192
FAULT_LIMIT = 20

_END = b"\r\n.\r\n"
_BODIES = ("7BIT", "8BITMIME")

_ATTRIBUTES = {
    "ADDR": "address",
    "NAME": "name",
    "HELO": "helo",
    "PORT": "port",
    "PROTO": "protocol",
    "LOGIN": "login",
    "IDENT": "queue_id",
    "SOURCE": "source",
}


class _State(enum.Enum):
    COMMAND = enum.auto()
    DATA = enum.auto()
    CLOSED = enum.auto()


class Session:
    """One connection's dialogue."""

    def __init__(self, host: str, limits: Limits) -> None:
        self._host = host
        self._limits = limits
        self._state = _State.COMMAND
        self._input = bytearray()
        self._searched = 0
        self._overflow = 0
        self._output: list[str] = []
        self._faults = 0
        self._greeted = False
        self._client = Client()
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._body: str | None = None
        self._smtputf8 = False
        self._verbs: dict[str, Callable[[str], None]] = {
            "LHLO": self._lhlo,
            "XFORWARD": self._xforward,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }

    @property
    def in_transaction(self) -> bool:
        """True from MAIL to the replies after the dot."""
        return self._sender is not None

    @property
    def closed(self) -> bool:
        """True when nothing more is taken in."""
        return self._state is _State.CLOSED

    @property
    def in_data(self) -> bool:
        """True from DATA's 354 to the final dot."""
        return self._state is _State.DATA

    def greet(self) -> None:
        """The peer may talk."""
        self._reply(f"220 {self._host} LMTP Postmask")

    def turn_away(self, reply: str) -> None:
        """Say why the session ends, and end it."""
        self._reply(reply)
        self._state = _State.CLOSED

    def receive(self, data: bytes | memoryview) -> None:
        """What the peer sent, in pieces of any size."""
        self._input += data

    def take_output(self) -> bytes:
        """The replies so far, to be sent before more is read."""
        lines, self._output = self._output, []
        return "".join(line + "\r\n" for line in lines).encode("ascii")

    def next_event(self) -> Event | None:
        """The next message or piece of news; None: nothing more in what was received so far."""
        while not self.closed:
            if self.in_data:
                return self._read_data()
            line = self._read_line()
            if line is not None:
                self._command(line)
            elif not self.closed:
                return None
        return Closing()

    def answer_message(self, verdicts: Sequence[Verdict]) -> None:
        """The answer to MessageGiven: one verdict a recipient."""
        assert len(verdicts) == len(self._recipients)
        for verdict in verdicts:
            self._reply(lmtp_reply(verdict))
        self._end_transaction()

    # -- reading ---------------------------------------------------------------------------------

    def _read_line(self) -> bytes | None:
        """The next command line without its line end; None when it isn't complete."""
        end = self._input.find(b"\n")
        if end < 0 and len(self._input) <= LINE_LIMIT:
            return None
        if end < 0 or end > LINE_LIMIT:
            self.turn_away("500 5.5.2 line too long")
            return None
        line = bytes(self._input[:end])
        del self._input[: end + 1]
        return line.removesuffix(b"\r")

    def _read_data(self) -> Event | None:
        """The message, when its end has come. The buffer begins with the CRLF that ended DATA.

        Only CRLF "." CRLF ends it; what was searched isn't searched again but for the four octets
        that may be the end's beginning.
        """
        end = self._input.find(_END, self._searched)
        if end < 0:
            self._shed_overflow()
            self._searched = max(0, len(self._input) - len(_END) + 1)
            return None
        size = self._overflow + end
        with memoryview(self._input) as view:
            message = bytes(view[2 : end + 2])
        del self._input[: end + len(_END)]
        envelope = self._envelope()
        if self._over_limit(size):
            self._refuse_size(len(self._recipients))
            self._end_transaction()
            return TooLarge(envelope, size)
        self._state = _State.COMMAND
        return MessageGiven(envelope, _unstuffed(message))

    def _shed_overflow(self) -> None:
        """Past the limit the octets are counted and forgotten: memory is for mail that can be delivered."""
        if self._over_limit(self._overflow + len(self._input)):
            kept = len(_END) - 1
            self._overflow += max(0, len(self._input) - kept)
            del self._input[:-kept]

    def _over_limit(self, size: int) -> bool:
        return 0 < self._limits.size < size

    # -- commands --------------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        verb, _, argument = text(line).partition(" ")
        command = self._verbs.get(verb.upper())
        if command is None:
            self._fault("500 5.5.2 command not known")
            return
        try:
            command(argument)
        except GrammarError as fault:
            self._fault(f"501 5.5.4 {fault}")

    def _lhlo(self, argument: str) -> None:
        if not argument.strip():
            raise GrammarError("LHLO wants a name")
        self._reset()
        self._client = Client()
        self._greeted = True
        lines = (self._host, *EXTENSIONS)
        for line in lines[:-1]:
            self._reply(f"250-{line}")
        self._reply(f"250 {lines[-1]}")

    def _xforward(self, argument: str) -> None:
        if not self._greeted or self.in_transaction:
            self._fault("503 5.5.1 XFORWARD belongs between LHLO and MAIL")
            return
        try:
            attributes = parse_attributes(argument)
            if not attributes or not attributes.keys() <= _ATTRIBUTES.keys():
                raise GrammarError("attribute not known")
        except GrammarError as fault:
            # lmtp(8) would go on without, and a stranger's mail would look like one from this host.
            self.turn_away(f"421 4.3.0 XFORWARD: {fault}")
            return
        given = {_ATTRIBUTES[name]: value for name, value in attributes.items()}
        self._client = replace(self._client, **given)
        self._reply("250 2.0.0 ok")

    def _mail(self, argument: str) -> None:
        if not self._greeted or self.in_transaction:
            self._fault("503 5.5.1 MAIL belongs after LHLO, once a message")
            return
        path = parse_path(argument, "FROM")
        parameters = dict(path.parameters)
        size = parameters.pop("SIZE", None) or "0"
        body = parameters.pop("BODY", None)
        body = body.upper() if body else None
        smtputf8 = "SMTPUTF8" in parameters
        if parameters.pop("SMTPUTF8", None) is not None:
            raise GrammarError("SMTPUTF8 takes no value")
        if parameters:
            self._fault("555 5.5.4 MAIL parameter not known")
        elif not (size.isascii() and size.isdigit()) or body not in (None, *_BODIES):
            raise GrammarError("MAIL parameter value not known")
        elif self._over_limit(int(size[:20])):
            self._refuse_size(1)
        else:
            self._sender, self._body, self._smtputf8 = path.address, body, smtputf8
            self._reply("250 2.1.0 ok")

    def _rcpt(self, argument: str) -> None:
        if self._sender is None:
            self._fault("503 5.5.1 RCPT belongs after MAIL")
            return
        path = parse_path(argument, "TO")
        if path.parameters:
            self._fault("555 5.5.4 RCPT parameter not known")
        elif not path.address:
            raise GrammarError("a recipient has an address")
        elif len(self._recipients) >= self._limits.recipients:
            self._reply("452 4.5.3 too many recipients")
        else:
            self._recipients.append(path.address)
            self._reply("250 2.1.5 ok")

    def _data(self, argument: str) -> None:
        if argument.strip():
            raise GrammarError("DATA stands alone")
        if not self._recipients:
            self._fault("503 5.5.1 no recipient was accepted")
            return
        self._reply("354 end with <CRLF>.<CRLF>")
        self._state = _State.DATA
        self._input[:0] = b"\r\n"
        self._searched = self._overflow = 0

    def _rset(self, _argument: str) -> None:
        self._end_transaction()
        self._reply("250 2.0.0 ok")

    def _noop(self, _argument: str) -> None:
        self._reply("250 2.0.0 ok")

    def _quit(self, _argument: str) -> None:
        self.turn_away("221 2.0.0 bye")

    # -- state -----------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []

    def _end_transaction(self) -> None:
        """XFORWARD's attributes belong to one message (XFORWARD_README)."""
        self._reset()
        self._client = Client()
        self._state = _State.COMMAND

    def _envelope(self) -> Envelope:
        assert self._sender is not None
        return Envelope(self._sender, tuple(self._recipients), self._smtputf8, self._body, self._client)

    def _reply(self, line: str) -> None:
        self._output.append(line)

    def _refuse_size(self, times: int) -> None:
        for _ in range(times):
            self._reply("452 4.3.1 message larger than this server takes")

    def _fault(self, line: str) -> None:
        self._faults += 1
        if self._faults >= FAULT_LIMIT:
            self.turn_away("421 4.7.0 too many faults")
        else:
            self._reply(line)


def _unstuffed(message: bytes) -> bytes:
    """Without the dot that transparency put before lines (RFC 5321 §4.5.2)."""
    return message.removeprefix(b".").replace(b"\r\n.", b"\r\n")
