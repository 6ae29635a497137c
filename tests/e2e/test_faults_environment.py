"""The virtual environment deleted, first under the running programs, then with the programs gone too."""

from __future__ import annotations

import signal
from pathlib import Path

from faults import Watch, await_flow, message, pass_foreign
from faults_environment import copied_environment, deleted, programs
from lab import lab
from nameserver import Nameserver
from service import Service

UNKNOWN = "nobody-of-this-name@alias.test"


def test_deleted_and_back(names: Nameserver, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    commands = programs(copied_environment(environment))
    with lab(door="pipe", nameserver=names.text, programs=commands) as running:
        service = Service("without an environment", running, names)
        for program in ("milter-alias", "milter-scan", "forwarder"):
            running.wait_for(lambda name=program: "ready" in running.program_log(name), program)
        owned = service.alias()
        service.send("bob@example.com", [owned.alias], message(owned.alias, "before"))
        running.wait_for(lambda: service.events(owned.alias), "the agent")
        watch = Watch(running)
        with deleted(environment):
            said = service.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, "running"))
            assert said.recipients[owned.alias][:3] in ("250", "451")
            assert said.recipients[UNKNOWN][:3] in ("550", "451")
            if said.end:
                watch.await_lines(1, said.queue_id, "status=")
            pass_foreign(service)
            running.send_signal("forwarder", signal.SIGKILL)
            queue_id = service.send("bob@example.com", [owned.alias], message(owned.alias, "queued")).queue_id
            watch.await_lines(1, queue_id, "status=deferred")
            for program in ("milter-alias", "milter-scan", "agent"):
                running.send_signal(program, signal.SIGKILL)
            running.up()  # in vain
            said = service.send("bob@example.com", [owned.alias, UNKNOWN], b"")
            assert [answer[:9] for answer in said.recipients.values()] == ["451 4.3.0"] * 2
            pass_foreign(service)
        running.up()
        assert set(await_flow(service, owned.mailbox, 2)) >= {"before", "queued"}
        service.send("bob@example.com", [owned.alias], message(owned.alias, "back"))
        assert set(await_flow(service, owned.mailbox, 3)) >= {"queued", "back"}
        assert watch.bounced() == []
