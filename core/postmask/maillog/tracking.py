"""Records joined into messages: one for each queue file, from its beginning to its end.

A short queue id is used again after a while: what begins anew under one that has ended is another
message. A message that `postsuper -r` gave a new id goes on in the next.

DIAGNOSTICS
    None. Messages whose beginning isn't in the log are kept too, with `began` = None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from postmask.maillog.records import (
    Active,
    Deleted,
    Delivery,
    Expired,
    MessageId,
    Notified,
    Other,
    Received,
    Record,
    Rejected,
    Removed,
    Unreadable,
)


@dataclass(slots=True, eq=False)
class Message:
    """A queue file.

    began, ended: seconds since the epoch, None if the log doesn't say. key: the ledger's, of a copy of
    ours. accepted: the queue manager has had it. recipients: how many it had then. last: recipient as
    Postfix writes it → its last attempt. sent: how often each recipient was delivered to. previous,
    following: before and after a re-queueing. removed_by: qmgr or postsuper.
    """

    queue_id: str
    began: float | None = None
    ended: float | None = None
    key: str = ""
    accepted: bool = False
    recipients: int = 0
    expired: bool = False
    rejected: bool = False
    unreadable: bool = False
    removed_by: str = ""
    previous: str = ""
    following: Message | None = None
    last: dict[str, Delivery] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)

    @property
    def chain(self) -> Iterator[Message]:
        """This one, and what re-queueing made of it."""
        message: Message | None = self
        while message is not None:
            yield message
            message = message.following


class Tracker:
    """The messages of a log that is told record by record.

    is_ours: whether an attempt concerns us. A message that has ended and never did is forgotten.
    messages: in the order of their beginning. copies: ledger key → the messages that carry it.
    """

    def __init__(self, is_ours: Callable[[Delivery], bool]) -> None:
        self._is_ours = is_ours
        self.messages: dict[Message, None] = {}
        self.copies: dict[str, list[Message]] = {}
        self.current: dict[str, Message] = {}
        self.deleted = 0
        self.begins: float | None = None
        self.ends: float | None = None

    def add(self, at: float, record: Record | None) -> None:
        """The next record, and when it was written. None: a line that says nothing of a queue file."""
        self.begins = at if self.begins is None else self.begins
        self.ends = at
        match record:
            case None | Rejected(queue_id=""):
                return
            case Deleted(count):
                self.deleted += count
                return
            case Received() | MessageId() | Active():
                message = self._open(record.queue_id, at)
            case _:
                message = self._known(record.queue_id)
        self._note(message, at, record)

    def _note(self, message: Message, at: float, record: Record) -> None:
        match record:
            case Received(key=key, previous=previous):
                if key:
                    message.key = key
                    self.copies.setdefault(key, []).append(message)
                if previous:
                    self._requeued(message, previous, at)
            case Active(recipients=recipients):
                message.accepted = True
                message.recipients = max(message.recipients, recipients)
            case Delivery(recipient=recipient, status=status):
                message.last[recipient] = record
                if status == "sent":
                    message.sent[recipient] = message.sent.get(recipient, 0) + 1
            case Expired():
                message.expired = True
            case Removed(by=by):
                message.ended, message.removed_by = at, by
                self._forget_foreign(message)
            case Rejected(whole=whole):
                message.rejected = message.rejected or whole
            case Unreadable():
                message.unreadable = True
            case MessageId() | Notified() | Other() | Deleted():
                pass

    def _open(self, queue_id: str, at: float) -> Message:
        """The message under way with this id, or a new one."""
        message = self.current.get(queue_id)
        if message is None or message.ended is not None:
            message = self._new(queue_id)
            message.began = at
        return message

    def _known(self, queue_id: str) -> Message:
        """The message with this id, even one that has ended; its beginning may lie before the log's."""
        return self.current.get(queue_id) or self._new(queue_id)

    def _new(self, queue_id: str) -> Message:
        message = Message(queue_id)
        self.messages[message] = None
        self.current[queue_id] = message
        return message

    def _forget_foreign(self, message: Message) -> None:
        ours = message.key or message.previous or message.unreadable or not message.last
        if not ours and not any(map(self._is_ours, message.last.values())):
            self.messages.pop(message, None)
            self.current.pop(message.queue_id, None)

    def _requeued(self, message: Message, previous: str, at: float) -> None:
        """Under the new id it is the same message: a copy of ours stays one."""
        message.previous = previous
        before = self.current.get(previous)
        if before is not None and before is not message:
            before.following, before.ended = message, at
            message.key = before.key
