"""The command that pipe(8) runs: hands one message on standard input to the forwarder by LMTP.

Started for every message, so it imports next to nothing (no socket, no os, nothing of Postmask's)
and is copied to where pipe(8)'s user can read it. main() returns "delivered", by which alone the
caller may exit 0, or prints one line that begins with an enhanced status and returns another word.

Words, each name=value:
    socket=   the forwarder's socket (default postmask/forwarder.sock; pipe(8) runs in the queue directory)
    stamp=    marks the forwarder as not answering (default postmask/pipe/stamp): who finds it younger
              than 5 s gives up at once
    deadline= seconds for everything (default 45), less than the service's time limit
    parent=   the parent's process name (default pipe)
    queue_id= client_address= client_hostname= client_helo= client_port= client_protocol=
    sasl_username= sender= recipient=    as pipe(8) expands them, with flags=q and null_sender=

This file may have been cut short, at whatever line: then main() must not return "delivered" for want
of the lines that deliver.

A clean end of standard input is no proof that all of the message came: a pipe(8) that was killed
looks the same. So before the final dot its parent must still be there, and must not be exiting.

DIAGNOSTICS
    5.x.y postmask: ...  the forwarder refused for good, with our mark. Nothing else is ever permanent.
    4.x.y ...            the forwarder's own words.
    4.3.0  the message came without its end, the forwarder's answer isn't understood, or a fault here.
    4.3.2  the forwarder isn't there, or doesn't answer.
    4.3.5  called with words that aren't as above.
    4.4.2  the forwarder was lost, or took too long.

STANDARDS
    pipe(8), proc(5), RFC 2033 (LMTP), RFC 3461 §4 (xtext), RFC 5321 §4.5.2, Postfix XFORWARD_README.
"""

import _socket
import posix
import select
import sys
import time

GREETING_SECONDS = 2.0
STAMP_SECONDS = 5.0
_MARK = b"postmask: "
_CHUNK = 65536
_PATH_LIMIT = 107
_REPLY_LIMIT = 16384
_PF_EXITING = 0x4
_Late = _socket.timeout  # TimeoutError from Python 3.10 on

_DEFAULTS = {
    "socket": b"postmask/forwarder.sock",
    "stamp": b"postmask/pipe/stamp",
    "deadline": b"45",
    "parent": b"pipe",
}
_ATTRIBUTES = (
    ("queue_id", b"IDENT"),
    ("client_address", b"ADDR"),
    ("client_hostname", b"NAME"),
    ("client_helo", b"HELO"),
    ("client_port", b"PORT"),
    ("client_protocol", b"PROTO"),
    ("sasl_username", b"LOGIN"),
)
_MAY_BE_UNKNOWN = ("client_address", "client_hostname", "client_port")
_NAMES = (*_DEFAULTS, *(name for name, _ in _ATTRIBUTES), "sender", "recipient")


class Refusal(Exception):  # noqa: N818 - it is the answer, not an error
    """args[0]: the line for pipe(8), which begins with the status."""


def main(argv: "list[str]") -> str:
    """Deliver; the words as above, "--" before them is passed over. Prints at most one line."""
    try:
        done = DELIVERED  # before all else: a file that was cut short doesn't have it
        parent = posix.getppid()
        for handle in (0, 1):
            posix.fstat(handle)  # or the socket would get that number
        deliver(parse(argv), parent)
    except Refusal as refusal:
        say(refusal.args[0])
        return "refused"
    except _Late:
        say("4.4.2 the forwarder took too long")
        return "refused"
    except BaseException as error:  # noqa: BLE001 - a traceback would be a bounce
        say("4.3.0 the pipe client failed: " + type(error).__name__)
        return "failed"
    return done


def say(line: str) -> None:
    """The line, in printable ASCII and not too long, to standard output."""
    octets = bytes(ord(char) if " " <= char <= "~" else 63 for char in line[:450])
    try:
        posix.write(1, octets + b"\n")
    except OSError:
        return  # pipe(8) is gone, or doesn't listen: the exit status says it too


def parse(argv: "list[str]") -> "dict[str, bytes]":
    """{name: value as the octets that pipe(8) passed}."""
    words = {}
    for word in argv[1:] if argv[:1] == ["--"] else argv:
        name, equals, value = word.partition("=")
        if not equals or name not in _NAMES or name in words:
            raise Refusal("4.3.5 the pipe client was called with a word it doesn't know, or knows already")
        words[name] = value.encode(sys.getfilesystemencoding(), "surrogateescape")
        if b"\r" in words[name] or b"\n" in words[name]:
            raise Refusal("4.3.0 a line break in " + name)
    if "sender" not in words or not words.get("recipient"):
        raise Refusal("4.3.5 the pipe client was called without sender or recipient")
    return {**_DEFAULTS, **words}


def deliver(words: "dict[str, bytes]", parent: int) -> None:
    """Returns when the forwarder has taken the message on; Refusal otherwise."""
    talk = Talk(time.monotonic() + float(words["deadline"]))
    greet(talk, words)
    # In one piece, unlike RFC 2920 would have it: the forwarder is known to take that.
    introduction = [b"LHLO localhost\r\n", *envelope(words)]
    talk.send(b"".join(introduction))
    for command in introduction:
        talk.expect(354 if command == b"DATA\r\n" else 250)
    talk.send_message()
    check_parent(parent, words["parent"])
    talk.send(b".\r\n")
    talk.expect(250, final=True)


def greet(talk: "Talk", words: "dict[str, bytes]") -> None:
    """Connect and await the greeting; leave a stamp if there is none in time, and heed a fresh one."""
    if 0 <= stamp_age(words["stamp"]) < STAMP_SECONDS:
        raise Refusal("4.3.2 the forwarder did not answer a moment ago")
    try:
        talk.connect(words["socket"], GREETING_SECONDS)
    except BlockingIOError:  # its backlog is full
        leave_stamp(words["stamp"])
        raise Refusal("4.3.2 the forwarder does not answer") from None
    except OSError as error:
        raise Refusal("4.3.2 the forwarder is not there: " + (error.strerror or "")) from None
    try:
        talk.expect(220)
    except _Late:
        leave_stamp(words["stamp"])
        raise Refusal("4.3.2 the forwarder does not answer") from None
    talk.resume()


def stamp_age(path: bytes) -> float:
    """Seconds; below 0: there is none, or its date lies ahead."""
    try:
        return time.time() - posix.stat(path).st_mtime
    except OSError:
        return -1.0


def leave_stamp(path: bytes) -> None:
    """Without one the others wait for the greeting themselves: no reason to fail."""
    try:
        how = posix.O_WRONLY | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_NONBLOCK  # were it a fifo
        posix.close(posix.open(path, how, 0o644))
        posix.utime(path)
    except OSError:
        return


def envelope(words: "dict[str, bytes]") -> "list[bytes]":
    """The commands from XFORWARD to DATA, one an attribute: a long HELO must not make a line too long."""
    commands = []
    for name, attribute in _ATTRIBUTES:
        value = words.get(name)
        if value and not (value == b"unknown" and name in _MAY_BE_UNKNOWN):
            commands.append(b"XFORWARD " + attribute + b"=" + xtext(value) + b"\r\n")
    sender, recipient = words["sender"], words["recipient"]
    smtputf8 = b"" if sender.isascii() and recipient.isascii() else b" SMTPUTF8"
    commands.append(b"MAIL FROM:<" + sender + b">" + smtputf8 + b"\r\n")
    commands.append(b"RCPT TO:<" + recipient + b">\r\n")
    commands.append(b"DATA\r\n")
    return commands


def xtext(value: bytes) -> bytes:
    """RFC 3461 §4."""
    return b"".join(
        b"%c" % octet if 33 <= octet <= 126 and octet not in b"+=" else b"+%02X" % octet for octet in value
    )


def check_parent(parent: int, name: bytes) -> None:
    """Refusal unless the process that started us is pipe(8), alive, and not on its way out.

    An exiting process has PF_EXITING set before its files are closed, and as a zombie still, so whoever has
    seen the end of the message sees that too. proc(5): fields 2 (comm) and 9 (flags) of stat.
    """
    try:
        handle = posix.open(b"/proc/%d/stat" % parent, posix.O_RDONLY)
        stat = posix.read(handle, 4096)
        posix.close(handle)
        comm, _, rest = stat.partition(b"(")[2].rpartition(b") ")
        alive = comm == name and not int(rest.split()[6]) & _PF_EXITING
    except (OSError, ValueError, IndexError):
        raise Refusal("4.3.0 cannot see whether pipe(8) is alive (hidepid?)") from None
    if not alive or posix.getppid() != parent:
        raise Refusal("4.3.0 pipe(8) ended before the message did")


class Talk:
    """The LMTP dialogue, every wait within a deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._until = deadline
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._input = b""

    def connect(self, path: bytes, seconds: float) -> None:
        """Connect, in a time of its own, which holds until resume(). A long path is walked to."""
        self._until = min(self._deadline, time.monotonic() + seconds)
        self._socket.settimeout(seconds)
        if len(path) <= _PATH_LIMIT:
            self._socket.connect(path)
            return
        here = posix.open(".", posix.O_RDONLY)
        folder, _, name = path.rpartition(b"/")
        posix.chdir(folder)
        try:
            self._socket.connect(name)
        finally:
            posix.fchdir(here)
            posix.close(here)

    def resume(self) -> None:
        """From here on only the deadline counts."""
        self._until = self._deadline

    def left(self) -> float:
        """Seconds; _Late when there are none."""
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise _Late
        return seconds

    def send(self, octets: bytes) -> None:
        """All of it."""
        try:
            self._socket.settimeout(self.left())
            self._socket.sendall(octets)
        except _Late:
            raise
        except OSError:
            self._last_words()

    def send_message(self) -> None:
        """Standard input, made transparent and ended with CRLF, without the final dot."""
        last = b"\r\n"
        while True:
            chunk = self._read_message()
            if not chunk:
                break
            joined = last + chunk
            self.send(joined.replace(b"\r\n.", b"\r\n..")[len(last) :])
            last = joined[-2:]
        if last != b"\r\n":
            self.send(b"\r\n")

    def expect(self, code: int, final: bool = False) -> None:
        """Take in a reply; Refusal if it is another. final: a refusal with our mark may be permanent."""
        got, text = self._reply()
        if got != code:
            raise refusal(got, text, final)

    def _read_message(self) -> bytes:
        """The next piece; empty at the end."""
        ready, _, _ = select.select([0], [], [], self.left())
        if not ready:
            raise _Late
        return posix.read(0, _CHUNK)

    def _reply(self) -> "tuple[int, bytes]":
        """The next reply: its code, and the text of its last line."""
        while True:
            line, newline, rest = self._input.partition(b"\n")
            if not newline:
                self._receive()
                continue
            self._input = rest
            code, hyphen, text = line[:3], line[3:4], line[4:].rstrip(b"\r")
            if not code.isdigit() or hyphen not in (b" ", b"-", b"\r", b""):
                raise Refusal("4.3.0 the forwarder's answer is not understood")
            if hyphen != b"-":
                return int(code), text

    def _receive(self) -> None:
        if len(self._input) > _REPLY_LIMIT:
            raise Refusal("4.3.0 the forwarder's answer is not understood")
        self._socket.settimeout(self.left())
        try:
            received = self._socket.recv(4096)
        except _Late:
            raise
        except OSError:
            received = b""
        if not received:
            raise Refusal("4.4.2 the forwarder hung up")
        self._input += received

    def _last_words(self) -> None:
        """The forwarder hung up while it was talked to: what it refused before that, if anything, is why."""
        code = 0
        while code < 400:
            code, text = self._reply()
        raise refusal(code, text, final=False)


def refusal(code: int, text: bytes, final: bool) -> Refusal:
    """What a reply other than the wanted one means. final: with our mark it may be permanent."""
    status, _, words = text.partition(b" ")
    deferred = 400 <= code < 500 and is_status(status, b"4")
    marked = 500 <= code < 600 and is_status(status, b"5") and words.startswith(_MARK)
    if deferred or (marked and final):
        return Refusal(text.decode("latin-1"))
    return Refusal(f"4.3.0 the forwarder answered {code} out of turn")


def is_status(word: bytes, first: bytes) -> bool:
    """An enhanced status code (RFC 3463) of that class."""
    parts = word.split(b".")
    return len(parts) == 3 and parts[0] == first and all(part.isdigit() and len(part) <= 3 for part in parts)


DELIVERED = "delivered"  # The last line, by which main() knows that the file is whole.
