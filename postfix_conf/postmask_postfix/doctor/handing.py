"""A message handed in at this Postfix's front door, as any client would do it.

DIAGNOSTICS
    Whatever goes wrong is an answer: with the step at which it was given.

STANDARDS
    RFC 5321 §3.3.
"""

from __future__ import annotations

from pathlib import Path

from postmask.doctor.sending.journey import Handed, Step
from postmask_postfix import commands
from postmask_postfix.attachment import change, dialogue, listeners, site
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment.dialogue import Stopped, Talk
from postmask_postfix.attachment.listeners import Listener
from postmask_postfix.attachment.services import listed

_PROXY = "smtpd_proxy_filter"


def front_door(config_dir: Path) -> Listener | None:
    """Where most mail comes in: the first listener that asks our gate, one without TLS before others."""
    doors = listeners.of(site.read(config_dir), change.read(config_dir))
    return min(doors, key=lambda door: (not door.gated, not door.host, door.tls), default=None)


def is_examined(config_dir: Path, listener: Listener) -> bool:
    """Whether milters see the content of what is handed in there; a proxy filter hides it."""
    inherited = commands.values(config_dir, _PROXY)[_PROXY]
    for service in listed(files.master_cf(change.read(config_dir).master)):
        behind = listener.screened and (service.command, service.type) == ("smtpd", "pass")
        if behind or service.name == listener.name:
            own = service.override(_PROXY)
            if inherited if own is None else own:
                return False
    return True


def ask(listener: Listener, recipient: str) -> Handed:
    """What a recipient is answered; no mail is sent."""
    answers = dialogue.ask(listener, [recipient])
    if recipient in answers:
        return Handed(Step.RECIPIENT, answers[recipient])
    return Handed(Step.CONNECTED, answers[""])


def hand_in(listener: Listener, recipient: str, content: str) -> Handed:
    """A message with the null sender, which nobody is ever told of. content: ASCII, lines ending in LF."""
    step = Step.CONNECTED
    try:
        with Talk(listener) as talk:
            talk.begin()
            step = Step.RECIPIENT
            for line in ("MAIL FROM:<>", f"RCPT TO:<{recipient}>"):
                talk.say(line)
                talk.expect("250")
            step = Step.CONTENT
            talk.say("DATA")
            talk.expect("354")
            talk.say(content.replace("\n.", "\n..").replace("\n", "\r\n") + ".")
            answer = talk.reply()
            talk.say("QUIT")
            return Handed(step, answer)
    except (Stopped, OSError) as error:
        return Handed(step, dialogue.ended(error))
