"""The pipe client's parts, in process. The process as pipe(8) runs it is tested under integration."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmtp_service import lmtp_service
from postmask.xtext import encode_xtext, octets
from postmask_transport import pipe
from postmask_transport.lmtp_syntax import parse_attributes, parse_path

WORDS = ["sender=a@b", "recipient=c@d"]


@given(st.binary())
def test_xtext_is_that_of_the_server(value: bytes) -> None:
    assert pipe.xtext(value) == encode_xtext(value)


@given(
    st.binary().filter(
        lambda value: value != b"unknown" and not set(value) & set(range(32)) and 127 not in value
    )
)
def test_attributes_arrive_exactly(value: bytes) -> None:
    commands = pipe.envelope({"client_helo": value, "sender": b"", "recipient": b"r@x"})
    if value and value.upper() not in (b"[UNAVAILABLE]", b"[TEMPUNAVAIL]"):
        verb, _, argument = commands[0].partition(b" ")
        assert verb == b"XFORWARD"
        (helo,) = parse_attributes(argument.decode("ascii").rstrip("\r\n")).values()
        assert octets(helo or "") == value


def test_the_envelope() -> None:
    words = pipe.parse(
        [
            "--",
            "queue_id=4bX",
            "client_address=192.0.2.1",
            "client_hostname=unknown",
            "client_helo=unknown",
            "client_port=",
            "client_protocol=ESMTP",
            "sasl_username=a b",
            "sender=",
            "recipient=ü@x.example",
        ]
    )
    assert pipe.envelope(words) == [
        b"XFORWARD IDENT=4bX\r\n",
        b"XFORWARD ADDR=192.0.2.1\r\n",
        b"XFORWARD HELO=unknown\r\n",
        b"XFORWARD PROTO=ESMTP\r\n",
        b"XFORWARD LOGIN=a+20b\r\n",
        b"MAIL FROM:<> SMTPUTF8\r\n",
        "RCPT TO:<ü@x.example>\r\n".encode(),
        b"DATA\r\n",
    ]


@pytest.mark.parametrize(
    ("sender", "recipient", "asked"),
    [
        (b"a@b", b"c@d", b""),
        ("ü@b".encode(), b"c@d", b" SMTPUTF8"),
        (b"a@b", "ü@d".encode(), b" SMTPUTF8"),
    ],
)
def test_smtputf8_is_asked_for_where_an_address_needs_it(
    sender: bytes, recipient: bytes, asked: bytes
) -> None:
    """What was taken with it can't go to a server that doesn't offer it."""
    mail, *_ = pipe.envelope({"sender": sender, "recipient": recipient})
    assert mail == b"MAIL FROM:<" + sender + b">" + asked + b"\r\n"


def test_after_the_greeting_only_the_deadline_counts(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "f"):
        talk = pipe.Talk(time.monotonic() + 60)
        pipe.greet(talk, pipe.parse([*WORDS, f"socket={tmp_path}/f", f"stamp={tmp_path}/stamp"]))
        assert talk.left() > pipe.GREETING_SECONDS


def test_before_the_greeting_it_counts_too(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "f"):
        talk = pipe.Talk(time.monotonic() + 1)
        talk.connect(bytes(tmp_path / "f"), pipe.GREETING_SECONDS)
        assert talk.left() <= 1


@pytest.mark.parametrize(
    "local",
    [
        "$(reboot)",
        "`x`",
        "-x",
        ";rm",
        '"a b"',
        '"a\\"b>c"',
        "x" * 64,
        "ü",
        "a'b",
        "%s",
        "*",
        "a=b",
        "!",
        "&|#~",
    ],
)
def test_hostile_senders_arrive_exactly(local: str) -> None:
    commands = pipe.envelope(pipe.parse([f"sender={local}@x.example", "recipient=c@d"]))
    assert parse_path(commands[0].decode().removeprefix("MAIL ").rstrip("\r\n"), "FROM").address == (
        f"{local}@x.example"
    )


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        ([], "4.3.5"),
        (["--"], "4.3.5"),
        (["sender=a@b"], "4.3.5"),
        (["recipient=a@b"], "4.3.5"),
        (["sender=a@b", "recipient="], "4.3.5"),
        ([*WORDS, "recipient=e@f"], "4.3.5"),
        ([*WORDS, "what=1"], "4.3.5"),
        ([*WORDS, "what"], "4.3.5"),
        ([*WORDS, "--"], "4.3.5"),
        (["--", "--", *WORDS], "4.3.5"),
        (["sender=a@b>\r\nRCPT TO:<x@y>", "recipient=c@d"], "4.3.0"),
        ([*WORDS, "client_helo=a\nb"], "4.3.0"),
    ],
)
def test_words_that_are_refused(argv: list[str], status: str) -> None:
    with pytest.raises(pipe.Refusal, match=f"^{status} "):
        pipe.parse(argv)


@given(st.binary())
def test_a_word_is_the_octets_that_were_passed(value: bytes) -> None:
    if b"\r" not in value and b"\n" not in value and b"\0" not in value:
        assert pipe.parse([*WORDS, "client_helo=" + os.fsdecode(value)])["client_helo"] == value


@pytest.mark.parametrize(
    ("word", "first", "good"),
    [
        (b"4.3.0", b"4", True),
        (b"5.123.999", b"5", True),
        (b"5.1.1", b"4", False),
        (b"4.3", b"4", False),
        (b"4.3.0.0", b"4", False),
        (b"4.3.x", b"4", False),
        (b"4.3.", b"4", False),
        (b"4.1234.0", b"4", False),
        (b"", b"4", False),
    ],
)
def test_statuses(word: bytes, first: bytes, good: bool) -> None:
    assert pipe.is_status(word, first) is good


class Tape(pipe.Talk):
    """A Talk whose message comes in given pieces and whose output is kept."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__(time.monotonic() + 10)
        self.pieces = [*pieces, b""]
        self.sent = b""

    def send(self, octets: bytes) -> None:
        self.sent += octets

    def _read_message(self) -> bytes:
        return self.pieces.pop(0)


@given(st.lists(st.lists(st.sampled_from([b"\r\n", b".", b"\n", b"\r", b"x"]), min_size=1).map(b"".join)))
@example([b"x\r", b"\n", b".\r\n"])
def test_stuffing_in_any_pieces(pieces: list[bytes]) -> None:
    tape = Tape(pieces)
    tape.send_message()
    data = b"".join(pieces)
    whole = data if not data or data.endswith(b"\r\n") else data + b"\r\n"
    assert tape.sent == (b"\r\n" + whole).replace(b"\r\n.", b"\r\n..")[2:]


def test_stamps(tmp_path: Path) -> None:
    stamp = bytes(tmp_path / "stamp")
    assert pipe.stamp_age(stamp) < 0
    pipe.leave_stamp(stamp)
    assert 0 <= pipe.stamp_age(stamp) < 5
    os.utime(stamp, (1, 1))
    assert pipe.stamp_age(stamp) > 5
    pipe.leave_stamp(stamp)
    assert 0 <= pipe.stamp_age(stamp) < 5
    pipe.leave_stamp(bytes(tmp_path / "missing" / "stamp"))
    os.mkfifo(tmp_path / "fifo")
    pipe.leave_stamp(bytes(tmp_path / "fifo"))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    pipe.leave_stamp(bytes(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()


def test_the_parent_must_be_the_one_named() -> None:
    pid, name = os.getppid(), Path(f"/proc/{os.getppid()}/comm").read_bytes().rstrip(b"\n")
    pipe.check_parent(pid, name)
    with pytest.raises(pipe.Refusal, match=r"^4\.3\.0 pipe\(8\) ended"):
        pipe.check_parent(pid, b"pipe8")
    with pytest.raises(pipe.Refusal, match=r"^4\.3\.0 pipe\(8\) ended"):
        pipe.check_parent(1, Path("/proc/1/comm").read_bytes().rstrip(b"\n"))
    with pytest.raises(pipe.Refusal, match="hidepid"):
        pipe.check_parent(1 << 30, b"pipe")


def test_a_file_cut_short_anywhere_never_says_delivered() -> None:
    """Even if nothing that is left of it objected."""
    whole = Path(pipe.__file__).read_bytes()
    ends = [number + 1 for number, octet in enumerate(whole) if octet == ord("\n")]
    said = {end: _said_by(whole[:end]) for end in ends}
    assert [end for end, word in said.items() if word == "delivered"] == [len(whole)]
    assert sum(word is not None for word in said.values()) > 20, "too few cuts leave a main()"


def _said_by(source: bytes) -> object:
    """What main() returns with a deliver() that does nothing; None where there is no main() to call."""
    try:
        code = compile(source, "postmask_pipe", "exec")
    except SyntaxError:
        return None
    names: dict[str, Any] = {}
    exec(code, names)
    if "main" not in names:
        return None
    names["deliver"] = lambda words, parent: None
    try:
        return names["main"](WORDS)
    except NameError:
        return "nothing: client broken"
