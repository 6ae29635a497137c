"""The lint of a Postfix: a case for every code of its group, and silence on one that is as it should be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from postmask.doctor.finding import Code, Finding
from postmask_postfix import commands
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment.collisions import Kind, Obstacle
from postmask_postfix.attachment.detach import Standing, Status
from postmask_postfix.attachment.drift import OURS, SITE, Difference
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.services import listed
from postmask_postfix.doctor import attachment, codes, listeners, passage, reading
from postmask_postfix.doctor.attachment import Attachment
from postmask_postfix.doctor.facts import Facts
from postmask_postfix.doctor.passage import RECEIVED, SIGNED
from postmask_postfix.instance import cool

OURS_MILTERS = "{ unix:postmask/alias.sock, command_timeout=2s, content_timeout=3s }"
GATE = "check_recipient_access regexp:{ {/ours/ postmask_gate} }"
VALUES = {
    "mail_version": "3.7.11",
    "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 192.168.7.0/24",
    "master_service_disable": "",
    "mydestination": "host.test, localhost",
    "local_recipient_maps": "proxy:unix:passwd.byname",
    "virtual_mailbox_domains": "",
    "virtual_mailbox_maps": "",
    "relay_domains": "host.test, regexp:{ {/ours/ 1} }",
    "postmask_relay_domains": "regexp:{ {/ours/ 1} }",
    "relay_recipient_maps": "",
    "smtpd_restriction_classes": "postmask_gate, strict",
    "strict": "permit_mynetworks, reject_unauth_destination",
    "smtpd_client_restrictions": "",
    "smtpd_helo_restrictions": "",
    "smtpd_sender_restrictions": "",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    "smtpd_recipient_restrictions": f"reject_non_fqdn_recipient, {GATE}, permit_mynetworks",
    "postmask_smtpd_recipient_restrictions": GATE,
    "smtpd_forbid_bare_newline": "yes",
    "smtpd_reject_unlisted_recipient": "yes",
    "smtpd_proxy_filter": "",
    "content_filter": "",
    "smtpd_authorized_xforward_hosts": "",
    "smtp_send_xforward_command": "no",
    "lmtp_send_xforward_command": "no",
    "smtpd_milters": f"{OURS_MILTERS}, inet:127.0.0.1:11332",
    "postmask_smtpd_milters": OURS_MILTERS,
    "non_smtpd_milters": OURS_MILTERS,
    "milter_default_action": "tempfail",
    "milter_command_timeout": "30s",
    "milter_content_timeout": "300s",
    "message_size_limit": "10240000",
    "header_size_limit": "102400",
    "smtp_line_length_limit": "998",
    "maximal_queue_lifetime": "5d",
    "bounce_queue_lifetime": "5d",
    "header_checks": "",
    "smtp_header_checks": "",
    "smtp_body_checks": "",
    "smtp_mime_header_checks": "",
    "smtp_nested_header_checks": "",
    "smtp_generic_maps": "",
    "smtp_never_send_ehlo": "no",
    "smtp_discard_ehlo_keywords": "",
    "disable_mime_output_conversion": "no",
    "delay_warning_time": "0h",
    "soft_bounce": "no",
}
MASTER = """\
smtp inet n - y - - smtpd
127.0.0.1:10025 inet n - n - - smtpd -o content_filter= -o smtpd_recipient_restrictions=permit
cleanup unix n - y - 0 cleanup
smtp unix - - y - - smtp
postmask-reinject unix n - n - 20 smtpd -o message_size_limit=11288576
"""
DOMAINS = ("alias.test",)
FILE = Configuration("myhostname = host.test\n", "smtp inet n - y - - smtpd\n")


def facts(changes: Mapping[str, str] | None = None, master: str = "", **more: object) -> Facts:
    """A Postfix as it should be, but for these values, services and facts."""
    services = listed(files.master_cf(MASTER + master))
    overrides = {(one.name, override.name): override.value for one in services for override in one.overrides}
    good = Facts({**VALUES, **(changes or {})}, services, overrides)
    return replace(good, **more)  # type: ignore[arg-type]


def linted(found: Facts) -> Iterator[Finding]:
    yield from listeners.lint(found)
    yield from passage.lint(found, DOMAINS, 104_857_600, 518_400.0)


def attached(**changes: object) -> Attachment:
    """An attachment as it should be, but for these."""
    good = Attachment(
        status=Status(Standing.ATTACHED),
        obstacles=(),
        relayed=(),
        now=FILE,
        wanted=FILE,
        domains={"postmask_domains": "alias\\.test"},
        wanted_domains={"postmask_domains": "alias\\.test"},
        running=True,
        in_force=True,
        nexthop="postmask:",
        routes={"postmask-probe@alias.test": "postmask:"},
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def obstacle(kind: Kind) -> Attachment:
    return attached(obstacles=(Obstacle(kind, "it", "it is in the way"),))


def drifted(whose: str) -> Status:
    return Status(Standing.DRIFTED, (Difference("postmask_gate", whose, "this", "that"),))


def altered(field: str, action: str) -> dict[str, dict[str, str]]:
    return {"regexp:/c": {field: action}}


def local(relay: str) -> str:
    return f"2525 inet n - n - - smtpd -o smtpd_relay_restrictions={relay}\n"


def submission(restrictions: str) -> str:
    """As Postfix's own master.cf has it, to be uncommented."""
    options = f"-o smtpd_recipient_restrictions={restrictions} -o smtpd_reject_unlisted_recipient=no"
    return f"587 inet n - y - - smtpd -o smtpd_relay_restrictions= {options}\n"


CASES: list[tuple[Code, str, Facts | Attachment]] = [
    (codes.OPEN_RELAY, "2525/inet", facts(master=local("permit"))),
    (codes.OPEN_RELAY, "2525/inet", facts(master=local("permit_mynetworks"))),
    (codes.OPEN_RELAY, "2525/inet", facts(master=local("permit,reject_unauth_destination"))),
    (codes.OPEN_RELAY, "2525/inet", facts(master=local("warn_if_reject,reject_unauth_destination"))),
    (codes.OPEN_RELAY, "2525/inet", facts(master=local("check_client_access,static:OK,reject"))),
    (
        codes.OPEN_RELAY,
        "smtp/inet",
        facts({"relay_domains": "static:a", "relay_recipient_maps": "hash:/r"}),
    ),
    (codes.TRUSTED_NETWORKS, "mynetworks 0.0.0.0/0", facts({"mynetworks": "127.0.0.0/8, 0.0.0.0/0"})),
    (
        codes.TRUSTED_NETWORKS,
        "mynetworks of 2525/inet 0.0.0.0/0",
        facts(master="2525 inet n - n - - smtpd -o mynetworks=0.0.0.0/0\n"),
    ),
    (codes.TRUSTED_NETWORKS, "mynetworks [::]/0", facts({"mynetworks": "[::]/0"})),
    (codes.TRUSTED_NETWORKS, "mynetworks 93.0.0.0/8", facts({"mynetworks": "93.0.0.0/8"})),
    (codes.TRUSTED_NETWORKS, "mynetworks [::ffff:0:0]/96", facts({"mynetworks": "[::ffff:0:0]/96"})),
    (codes.BARE_NEWLINE, "smtpd_forbid_bare_newline", facts({"smtpd_forbid_bare_newline": "no"})),
    (codes.BARE_NEWLINE, "smtpd_forbid_bare_newline", facts({"smtpd_forbid_bare_newline": ""})),
    (codes.UNKNOWN_RECIPIENTS, "local_recipient_maps", facts({"local_recipient_maps": ""})),
    (codes.UNKNOWN_RECIPIENTS, "virtual_mailbox_maps", facts({"virtual_mailbox_domains": "box.test"})),
    (codes.UNKNOWN_RECIPIENTS, "relay_recipient_maps", facts({"relay_domains": "other.test"})),
    (codes.UNKNOWN_RECIPIENTS, "smtp/inet", facts({"smtpd_reject_unlisted_recipient": "no"})),
    (
        codes.UNKNOWN_RECIPIENTS,
        "587/inet",
        facts(master=submission("check_client_access,cidr:/c,permit_sasl_authenticated,reject")),
    ),
    (codes.SOFT_BOUNCE, "soft_bounce", facts({"soft_bounce": "yes"})),
    (
        codes.SOFT_BOUNCE,
        "soft_bounce of slow/unix",
        facts(master="slow unix - - n - - smtp -o soft_bounce=yes\n"),
    ),
    (codes.MESSAGE_SIZE, "message_size_limit", facts({"message_size_limit": "0"})),
    (
        codes.MESSAGE_SIZE,
        "message_size_limit",
        facts({"message_size_limit": "104857601"}, overrides={}),
    ),
    (codes.REINJECT_SIZE, "postmask-reinject/unix", facts({"message_size_limit": "20480000"})),
    (codes.HEADER_SIZE, "header_size_limit", facts({"header_size_limit": "4096"})),
    (codes.LINE_LENGTH, "smtp_line_length_limit", facts({"smtp_line_length_limit": "500"})),
    (codes.LIFETIME_LONG, "maximal_queue_lifetime", facts({"maximal_queue_lifetime": "10"})),
    (codes.LIFETIME_SHORT, "bounce_queue_lifetime", facts({"bounce_queue_lifetime": "4h"})),
    (
        codes.GATE_ORDER,
        "smtpd_recipient_restrictions",
        facts({"smtpd_recipient_restrictions": f"check_recipient_access hash:/o, {GATE}"}),
    ),
    (codes.MILTER_ORDER, "smtpd_milters", facts({"smtpd_milters": f"inet:h:1, {OURS_MILTERS}"})),
    (
        codes.MILTER_REJECTS,
        "smtpd_milters: inet:h:1",
        facts({"smtpd_milters": "{ inet:h:1, default_action=reject }"}),
    ),
    (
        codes.MILTER_REJECTS,
        "smtpd_milters: inet:h:1",
        facts({"smtpd_milters": "inet:h:1"} | {"milter_default_action": "reject"}),
    ),
    (codes.MILTER_TIMES, "smtpd_milters", facts({"milter_content_timeout": "15m"})),
    (codes.MILTER_TIMES, "smtpd_milters", facts({"milter_command_timeout": "299s"})),
    (
        codes.RECEIVED_DROPPED,
        "header_checks",
        facts({"header_checks": "regexp:/c"}, asked=altered(RECEIVED[0], "IGNORE")),
    ),
    (
        codes.RECEIVED_DROPPED,
        "message_drop_headers",
        facts({"message_drop_headers": "bcc, Received, user-agent"}),
    ),
    (
        codes.GENERIC_MAPS,
        "smtp_generic_maps: alias.test",
        facts({"smtp_generic_maps": "regexp:/c"}, asked=altered("postmask-probe@alias.test", "me@real.test")),
    ),
    (
        codes.FINISHED_HEADERS,
        "smtp_header_checks",
        facts({"smtp_header_checks": "regexp:/c"}, asked=altered(SIGNED[3], "replace Subject: spam")),
    ),
    (codes.FINISHED_BODIES, "smtp_body_checks", facts({"smtp_body_checks": "regexp:/b"})),
    (codes.EIGHT_BIT, "smtp_never_send_ehlo", facts({"smtp_never_send_ehlo": "yes"})),
    (
        codes.EIGHT_BIT,
        "smtp_discard_ehlo_keywords of slow/unix",
        facts(master="slow unix - - n - - smtp -o smtp_discard_ehlo_keywords=chunking,8BITMIME\n"),
    ),
    (codes.DELAY_WARNING, "delay_warning_time", facts({"delay_warning_time": "4h"})),
    (codes.DELAY_WARNING, "delay_warning_time", facts({"delay_warning_time": "4"})),
    (
        codes.PROXY_FILTER,
        "smtp/inet",
        facts({"smtpd_proxy_filter": "127.0.0.1:10024", "smtpd_authorized_xforward_hosts": "127.0.0.1"}),
    ),
    (
        codes.CLIENT_HIDDEN,
        "127.0.0.1:10025/inet",
        facts({"content_filter": "scan:[127.0.0.1]:10024"}),
    ),
    (
        codes.CLIENT_HIDDEN,
        "scan/unix",
        facts(
            {"content_filter": "scan:[127.0.0.1]:10024", "smtpd_authorized_xforward_hosts": "127.0.0.1"},
            master="scan unix - - n - 2 lmtp -o smtp_send_xforward_command=yes\n",
        ),
    ),
    (codes.NON_SMTPD_MILTERS, "non_smtpd_milters", facts({"non_smtpd_milters": "inet:h:1"})),
    (codes.DATABASE_HOST, "pgsql:/etc/postfix/t.cf", facts(hosts={"pgsql:/etc/postfix/t.cf": 1})),
    (codes.TABLE, "pcre:/c", facts(broken={"pcre:/c": "unsupported dictionary type"})),
    (codes.DEPRECATED, "smtpd_use_tls", facts(named=frozenset({"smtpd_use_tls", "myhostname"}))),
    (
        codes.DEPRECATED,
        "smtpd_use_tls",
        facts(
            named=frozenset({"smtpd_use_tls"}),
            warnings=('support for parameter "smtpd_use_tls" will be removed',),
        ),
    ),
    (codes.CHECK_WARNS, "unused parameter: x=1", facts(warnings=("unused parameter: x=1",))),
    (codes.VERSION, "it", obstacle(Kind.VERSION)),
    (codes.DRIFT, "it", obstacle(Kind.NAME)),
    (codes.PIPE_USER, "it", obstacle(Kind.USER)),
    (codes.CHROOT, "it", obstacle(Kind.CHROOT)),
    (codes.OWN_DOMAIN, "it", obstacle(Kind.OWN_DOMAIN)),
    (codes.REWRITTEN, "it", obstacle(Kind.REWRITTEN)),
    (codes.RELAYED, "relay_domains", attached(relayed=("alias.test",))),
    (codes.NOT_ROOT, "postmask-attachment.json", attached(status=None)),
    (codes.NOT_ROOT, "postfix", attached(running=None, in_force=False)),
    (codes.NOT_RUNNING, "postfix", attached(running=False, in_force=False)),
    (codes.NOT_IN_FORCE, "postfix", attached(in_force=False)),
    (codes.DOMAINS, "postmask_domains", attached(domains={"postmask_domains": "other"})),
    (codes.ROUTE, "alias.test", attached(routes={"postmask-probe@alias.test": "smtp:[10.0.0.1]"})),
    (codes.ROUTE, "alias.test", attached(routes={"postmask-probe@alias.test": ""})),
    (codes.DRIFT, "postmask_gate", attached(status=drifted(OURS))),
    (codes.OUTDATED, "main.cf and master.cf", attached(wanted=Configuration("", FILE.master))),
    (codes.INTERRUPTED, "main.cf and master.cf", attached(status=Status(Standing.INTERRUPTED))),
    (
        codes.UNRECORDED,
        "postmask-attachment.json",
        attached(status=Status(Standing.ATTACHED, recorded=False)),
    ),
]
"""Each is wrong in one way."""

SILENT: list[Facts | Attachment] = [
    facts(),
    facts({"smtpd_forbid_bare_newline": "normalize", "mail_version": "3.10.1"}, hosts={"mysql:/t.cf": 1}),
    facts(hosts={"mysql:/t.cf": 2}),
    facts({"master_service_disable": "2525/inet"}, master=local("permit")),
    facts(master=local("strict")),
    facts(master="587 inet n - n - - smtpd -o smtpd_client_restrictions=permit_sasl_authenticated,reject\n"),
    facts(
        {
            "relay_domains": "other.test",
            "smtpd_recipient_restrictions": "reject_unauth_destination, reject_unverified_recipient",
        }
    ),
    facts(master=submission("permit_sasl_authenticated,reject")),
    facts(
        {
            "relay_domains": "other.test",
            "smtpd_recipient_restrictions": "reject_unauth_destination, reject_unverified_recipient",
        },
        master=submission("permit_sasl_authenticated,reject"),
    ),
    facts({"smtp_never_send_ehlo": "yes", "disable_mime_output_conversion": "yes"}),
    facts({"smtp_discard_ehlo_keywords": "silent-discard, dsn"}),
    facts(
        {"content_filter": "scan:[127.0.0.1]:10024", "smtpd_authorized_xforward_hosts": "127.0.0.1"},
        master="scan unix - - n - 2 smtp -o smtp_send_xforward_command=yes\n",
    ),
    facts({"smtp_header_checks": "regexp:/c"}, asked=altered(SIGNED[3], "WARN")),
    facts({"header_checks": "regexp:/c"}, asked=altered(RECEIVED[1], "DUNNO")),
    attached(),
    attached(status=drifted(SITE), wanted=Configuration("", "")),
    attached(status=Status(Standing.DETACHED), wanted=None, running=False, domains={}, routes={}),
]


def judged(found: Facts | Attachment) -> list[tuple[str, str]]:
    look: Callable[..., Iterator[Finding]] = linted if isinstance(found, Facts) else attachment.lint
    return [(finding.code.id, finding.where) for finding in look(found)]


@pytest.mark.parametrize(("code", "where", "found"), CASES, ids=[case[0].id for case in CASES])
def test_each_is_found_and_nothing_else(code: Code, where: str, found: Facts | Attachment) -> None:
    assert judged(found) == [(code.id, where)]


@pytest.mark.parametrize("found", SILENT, ids=range(len(SILENT)))
def test_what_is_as_it_should_be_is_passed_over(found: Facts | Attachment) -> None:
    assert judged(found) == []


def test_a_proxy_filter_whose_listener_is_not_told_the_client_is_found() -> None:
    found = judged(facts({"smtpd_proxy_filter": "127.0.0.1:10024"}))
    assert found == [
        (codes.PROXY_FILTER.id, "smtp/inet"),
        (codes.CLIENT_HIDDEN.id, "127.0.0.1:10025/inet"),
    ]


def test_what_bears_one_of_our_names_is_not_put_back_by_attaching() -> None:
    (finding,) = attachment.lint(obstacle(Kind.NAME))
    assert finding.advice.startswith("Rename or remove it")


def test_every_code_has_a_case() -> None:
    assert {code.id for code, _, _ in CASES} == {code.id for code in codes.CODES}


def test_what_several_of_postfixs_tools_warn_of_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\nbiff = yes\nbiff = no\n")
    (tmp_path / "master.cf").touch()
    cool(tmp_path / "main.cf")
    warning = f"{tmp_path}/main.cf, line 3: overriding earlier entry: biff=yes"
    really = commands.finished

    def finished(command: list[str]) -> subprocess.CompletedProcess[str]:
        if command[0] != "postfix":
            return really(command)
        said = f"/usr/sbin/postconf: warning: {warning}\npostsuper: warning: {warning}\n"
        return subprocess.CompletedProcess(command, 0, "", said)

    monkeypatch.setattr(commands, "finished", finished)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert reading.read(tmp_path, ()).warnings == (warning,)


@pytest.mark.parametrize(
    ("known", "what"),
    [
        ("", "Postfix doesn't answer for alias.test"),
        ("alias\\.test|old\\.test", "Postfix answers for old.test, not ours by the database"),
        (
            "old\\.test",
            "Postfix doesn't answer for alias.test; it answers for old.test, not ours by the database",
        ),
        (
            "alias\\.test|" + "|".join(f"{letter}\\.test" for letter in "abcdefg"),
            "Postfix answers for a.test, b.test, c.test, d.test, e.test and 2 more, not ours by the database",
        ),
    ],
)
def test_which_domains_postfix_lacks_or_has_too_many(known: str, what: str) -> None:
    """Nor is it said that mail for those that it lacks goes elsewhere, since nothing outranks us there."""
    routes = {} if "alias" in known else {"routes": {"postmask-probe@alias.test": ""}}
    (finding,) = attachment.lint(attached(domains={"postmask_domains": known}, **routes))
    assert (finding.code, finding.what) == (codes.DOMAINS, what)
