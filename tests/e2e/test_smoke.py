"""The two forms that don't get the whole suite: forwarding and an unknown alias, in a lab of their own."""

from __future__ import annotations

import pytest

from dkim_judges import dkimpy
from lab import lab
from nameserver import Nameserver
from postgres import Cluster
from service import Service

PLAIN = b"From: Bob <bob@example.com>\r\nTo: %s\r\nSubject: Hello\r\n\r\nHi.\r\n"


@pytest.mark.parametrize(("door", "on_postgres"), [("lmtp", False), ("pipe", True)])
def test_forwarding(door: str, on_postgres: bool, names: Nameserver, postgres: Cluster) -> None:
    database = postgres.fresh() if on_postgres else None
    with lab(door=door, database=database, nameserver=names.text) as running:
        service = Service(door, running, names)
        owned = service.alias()
        said = service.send(
            "bob@example.com", [owned.alias, "nobody@alias.test"], PLAIN % owned.alias.encode()
        )
        assert said.recipients["nobody@alias.test"].startswith("550 5.1.1")
        (mail,) = service.await_mail_for(owned.mailbox)
        assert dkimpy(mail.content, service.dkim_records())
