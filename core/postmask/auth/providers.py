"""Providers at which strangers share servers: SPF passes there for anybody who has an account.

Whether such a provider lets its customers use each other's envelope senders, nobody outside knows; so
SPF alone never proves who wrote. The list names the large ones, it needn't be complete: SPF alone
counts nowhere unless a mailbox was set so.
"""

from __future__ import annotations

from postmask.auth.alignment import registrable

_DOMAINS = frozenset(
    [
        "126.com",
        "163.com",
        "aim.com",
        "aol.com",
        "att.net",
        "bellsouth.net",
        "bigpond.com",
        "bluewin.ch",
        "bol.com.br",
        "btinternet.com",
        "comcast.net",
        "cox.net",
        "daum.net",
        "email.com",
        "fastmail.com",
        "fastmail.fm",
        "foxmail.com",
        "free.fr",
        "freenet.de",
        "gmail.com",
        "googlemail.com",
        "hanmail.net",
        "hey.com",
        "hushmail.com",
        "icloud.com",
        "inbox.lv",
        "interia.pl",
        "laposte.net",
        "libero.it",
        "mac.com",
        "mail.com",
        "mail.ru",
        "mailbox.org",
        "me.com",
        "naver.com",
        "o2.pl",
        "office365.com",
        "onet.pl",
        "onmicrosoft.com",
        "orange.fr",
        "passport.com",
        "pm.me",
        "posteo.de",
        "posteo.net",
        "proton.me",
        "protonmail.ch",
        "protonmail.com",
        "qq.com",
        "rambler.ru",
        "rediffmail.com",
        "rocketmail.com",
        "runbox.com",
        "sbcglobal.net",
        "seznam.cz",
        "sfr.fr",
        "sina.com",
        "t-online.de",
        "tiscali.it",
        "tuta.com",
        "tuta.io",
        "tutanota.com",
        "tutanota.de",
        "uol.com.br",
        "verizon.net",
        "virgilio.it",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "ya.ru",
        "yeah.net",
        "ymail.com",
        "zoho.com",
        "zoho.eu",
        "zohomail.com",
    ]
)

_NAMES = frozenset({"gmx", "hotmail", "live", "msn", "outlook", "yahoo", "yandex"})
"""Providers with a domain under many a country's."""


def is_shared(domain: str) -> bool:
    """Whether the domain (lower-case A-labels) is one of a big shared provider, or lies under one."""
    labels = domain.split(".")
    if any(".".join(labels[start:]) in _DOMAINS for start in range(len(labels))):
        return True
    own = registrable(domain)
    return own is not None and own.split(".")[0] in _NAMES
