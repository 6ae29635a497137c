"""What is written into main.cf and master.cf, and what is taken out again, on all starting configurations."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

import sites
from postmask_postfix import render
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment import lists, plan
from postmask_postfix.attachment.drift import OURS, SITE, differences
from postmask_postfix.attachment.plan import Configuration, Record, Wanted
from postmask_postfix.attachment.services import listed
from postmask_postfix.settings import Merge, SettingsContext
from postmask_postfix.sync import wanted_settings

CONTEXT = SettingsContext(door="pipe", pipe_argv=render.pipe_argv("/usr/lib/postmask"))


def wanted(*domains: str, defaults: Mapping[str, str] = {}, door: str = "pipe") -> Wanted:
    context = SettingsContext(door=door, pipe_argv=render.pipe_argv("/usr/lib/postmask"))
    return Wanted(context, wanted_settings(domains or ["alias.test"]), defaults)


@pytest.fixture(params=sites.NAMES)
def site(request: pytest.FixtureRequest) -> Configuration:
    return sites.configuration(str(request.param))


def attached_main(main: str, **options: object) -> str:
    return plan.attached(Configuration(main, ""), wanted(**options)).main  # type: ignore[arg-type]


def attached_master(master: str) -> str:
    return plan.attached(Configuration("", master), wanted()).master


def test_twice_is_once(site: Configuration) -> None:
    once = plan.attached(site, wanted())
    assert once != site
    assert plan.attached(once, wanted()) == once


def test_services_may_be_written_as_postconf_writes_them() -> None:
    """By `postmask postfix render --commands`; what says something else is put right."""
    master = attached_master("")
    rewritten = re.sub(r"-o \{ (\w+) = +(.*?) *\}$", r"-o {\1=\2}", master, flags=re.MULTILINE)
    rewritten = re.sub(r"-o \{(\w+=[^\s{}]*)\}$", r"    -o \1", rewritten, flags=re.MULTILINE)
    assert rewritten != master
    assert attached_master(rewritten) == rewritten
    assert attached_master(rewritten.replace("lmtp_rcpt_timeout=3s", "lmtp_rcpt_timeout=9s")) != rewritten
    assert "9s" not in attached_master(rewritten.replace("lmtp_rcpt_timeout=3s", "lmtp_rcpt_timeout=9s"))


def test_detached_it_is_what_it_was(site: Configuration) -> None:
    once = plan.attached(site, wanted())
    assert plan.detached(once, Record(site, once)) == site


def test_detached_without_a_record_it_means_what_it_meant(site: Configuration) -> None:
    """An empty list, and the comma behind a list, can't be told from ours then."""
    bare = plan.detached(plan.attached(site, wanted()), None)
    assert meaning(bare.main) == meaning(site.main)
    assert bare.master == site.master


def meaning(main: str) -> list[tuple[str | None, str]]:
    """The parameters that have a value."""
    values = [(entry.name, files.value(entry).rstrip(",")) for entry in files.main_cf(main)]
    return [(name, value) for name, value in values if name and value]


def test_no_line_of_the_site_s_is_lost_or_moved(site: Configuration) -> None:
    """Without our words and our entries, the lines are the site's, in their order."""
    once = plan.attached(site, wanted())
    for before, after in ((site.main, once.main), (site.master, once.master)):
        ours = re.compile(r"\$postmask_\w+,? ?|, (?:\$postmask_\w+|postmask_gate)\b")
        lines = [ours.sub("", line).rstrip(" ,") for line in after.splitlines()]
        wanted_lines = [line.rstrip(" ,") for line in before.splitlines()]
        assert [line for line in lines if line in set(wanted_lines)][: len(wanted_lines)] == wanted_lines


def test_the_domains_are_no_part_of_what_is_restored(site: Configuration) -> None:
    once = plan.attached(site, wanted())
    many = plan.attached(once, wanted(*(f"d{number}.alias-domains.example" for number in range(3000))))
    assert "postmask_domains_2 = " in many.main
    assert plan.detached(many, Record(site, once)) == site
    assert plan.attached(many, wanted()).main.count("postmask_domains") == once.main.count("postmask_domains")


def test_a_hand_edit_stays(site: Configuration) -> None:
    once = plan.attached(site, wanted())
    edited = Configuration(
        sites.with_parameters(once.main, {"mynetworks": "192.0.2.0/24", "biff": "no"}),
        once.master + "extra unix - - n - - smtp\n",
    )
    assert plan.detached(edited, Record(site, once)) == Configuration(
        sites.with_parameters(
            site.main if site.main.endswith("\n") else site.main + "\n",
            {"mynetworks": "192.0.2.0/24", "biff": "no"},
        ),
        site.master + "extra unix - - n - - smtp\n",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("inet:a\n", "inet:a\nextra unix - - n - - smtp\n"),
        ("host.test", "host.test, more.test"),
        ("inet:a\n", "inet:a,inet:b\n"),
    ],
    ids=["in one file", "in a list that has ours", "in a service that has ours"],
)
def test_a_hand_edit_beside_ours_stays(old: str, new: str) -> None:
    def edited(one: Configuration) -> Configuration:
        return Configuration(one.main.replace(old, new), one.master.replace(old, new))

    found = Configuration(
        "relay_domains = host.test\n", "smtp inet n - y - - smtpd -o smtpd_milters=inet:a\n"
    )
    left = plan.attached(found, wanted())
    assert plan.detached(edited(left), Record(found, left)) == edited(found)


class TestMain:
    """Parameters."""

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("relay_domains = a.test\n", "relay_domains = a.test, $postmask_relay_domains\n"),
            ("relay_domains=a.test\n", "relay_domains=a.test, $postmask_relay_domains\n"),
            (
                "relay_domains = a.test,\n  b.test\n",
                "relay_domains = a.test,\n  b.test, $postmask_relay_domains\n",
            ),
            ("relay_domains = a.test,\n", "relay_domains = a.test, $postmask_relay_domains\n"),
            ("relay_domains =\n", "relay_domains = $postmask_relay_domains\n"),
            ("relay_domains =\n  # none\n", "relay_domains = $postmask_relay_domains\n  # none\n"),
            ("relay_domains =\n\ta.test\n", "relay_domains =\n\ta.test, $postmask_relay_domains\n"),
            ("relay_domains = a.test", "relay_domains = a.test, $postmask_relay_domains\n"),
            ("transport_maps = hash:/x\n", "transport_maps = $postmask_transport_maps, hash:/x\n"),
            ("transport_maps=hash:/x\n", "transport_maps=$postmask_transport_maps, hash:/x\n"),
            ("transport_maps =\n hash:/x\n", "transport_maps = $postmask_transport_maps,\n hash:/x\n"),
            ("transport_maps = # no remark\n", "transport_maps = $postmask_transport_maps, # no remark\n"),
        ],
    )
    def test_a_word_in_a_list(self, line: str, expected: str) -> None:
        once = attached_main(line)
        assert once.startswith(expected)
        assert meaning(plan.detached(Configuration(once, ""), None).main) == meaning(line)
        edited = Configuration(once + "biff = no\n", "")
        bare = plan.detached(edited, Record(Configuration(line, ""), Configuration(once, "")))
        assert bare.main == line + "biff = no\n" if line.endswith("\n") else meaning(bare.main)

    def test_of_two_the_last_one_counts(self) -> None:
        once = attached_main("transport_maps = hash:/a\ntransport_maps = hash:/b\n")
        assert once.startswith(
            "transport_maps = hash:/a\ntransport_maps = $postmask_transport_maps, hash:/b\n"
        )

    def test_of_rendered_commands_no_comma_stays(self) -> None:
        """As they meet a list that holds nothing."""
        rendered = "smtpd_restriction_classes = ,postmask_gate\nsmtpd_milters = $postmask_smtpd_milters,\n"
        assert plan.detached(Configuration(rendered, ""), None).main == ""

    def test_a_default_that_holds_something_is_kept(self) -> None:
        once = attached_main("", defaults={"relay_domains": "$mydestination"})
        assert "\nrelay_domains = $mydestination, $postmask_relay_domains\n" in once

    def test_no_list_of_relay_recipients_is_started(self) -> None:
        assert "relay_recipient_maps" not in attached_main("")
        assert "relay_recipient_maps =\n" in attached_main("relay_recipient_maps =\n")

    def test_ours_moved_by_the_site_is_left_where_it_is(self) -> None:
        once = attached_main("transport_maps = hash:/a\n").replace(
            "$postmask_transport_maps, hash:/a", "hash:/a $postmask_transport_maps"
        )
        assert attached_main(once) == once

    def test_bytes_that_are_no_text_come_back(self) -> None:
        main = b"# caf\xe9 \xff\r\nrelay_domains = a.test\r\n".decode("utf-8", "surrogateescape")
        once = attached_main(main)
        assert "a.test, $postmask_relay_domains\r\n" in once
        assert plan.detached(Configuration(once, ""), None).main == main

    def test_another_door_changes_the_route_alone(self) -> None:
        once = plan.attached(Configuration("", ""), wanted())
        other = plan.attached(once, wanted(door="lmtp"))
        assert [found.setting for found in differences(once, other)] == ["postmask_transport_maps"]


class TestMaster:
    """Services."""

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ("-o smtpd_milters=", "-o smtpd_milters=$postmask_smtpd_milters"),
            ("-o smtpd_milters=inet:h:1", "-o smtpd_milters=$postmask_smtpd_milters,inet:h:1"),
            ("-o { smtpd_milters = inet:h:1 }", "-o { smtpd_milters = $postmask_smtpd_milters, inet:h:1 }"),
            ("-o {smtpd_milters=}", "-o {smtpd_milters=$postmask_smtpd_milters}"),
            ("-osmtpd_milters=x", "-osmtpd_milters=$postmask_smtpd_milters,x"),
            ("-o relay_domains=a", "-o relay_domains=a,$postmask_relay_domains"),
            ("-v -o relay_domains=a -v", "-v -o relay_domains=a,$postmask_relay_domains -v"),
            ("-o relay_recipient_maps=", "-o relay_recipient_maps="),
            ("-o syslog_name=x", "-o syslog_name=x"),
            (
                "-o smtpd_milters=a -o smtpd_milters=b",
                "-o smtpd_milters=a -o smtpd_milters=$postmask_smtpd_milters,b",
            ),
        ],
    )
    def test_a_list_of_a_service_s_own(self, options: str, expected: str) -> None:
        start = "smtp inet n - n - - smtpd\n  # a remark with -o smtpd_milters=z\n  "
        once = attached_master(f"{start}{options}\n")
        assert once.startswith(f"{start}{expected}\n")
        assert plan.detached(Configuration("", once), None).master == f"{start}{options}\n"

    @pytest.mark.parametrize(
        "options", ["-o content_filter=", "-o receive_override_options=no_header_body_checks,no_milters"]
    )
    def test_what_comes_back_from_a_filter_is_left_alone(self, options: str) -> None:
        for name in ("10025", "127.0.0.1:25", "[::1]:smtp"):
            service = f"{name} inet n - n - - smtpd {options} -o smtpd_milters=\n"
            assert attached_master(service).startswith(service)

    @pytest.mark.parametrize("listener", ["smtp inet", "192.0.2.1:587 inet", "smtpd pass"])
    def test_where_clients_come_in_nothing_comes_back(self, listener: str) -> None:
        """Submission that is to pass by the filter, for instance."""
        service = f"{listener} n - n - - smtpd -o content_filter= -o smtpd_milters="
        assert attached_master(f"{service}\n").startswith(f"{service}$postmask_smtpd_milters\n")

    def test_the_holder_comes_with_the_word(self) -> None:
        """Relay recipients that only one listener has."""
        service = "smtp inet n - n - - smtpd -o relay_recipient_maps=hash:/x\n"
        once = plan.attached(Configuration("", service), wanted())
        assert "relay_recipient_maps=hash:/x,$postmask_relay_recipient_maps" in once.master
        assert "\npostmask_relay_recipient_maps = " in once.main
        assert "\nrelay_recipient_maps = " not in once.main

    def test_a_service_of_ours_that_was_edited_is_written_anew(self) -> None:
        once = attached_master("")
        assert attached_master(once.replace(" 8 pipe", " 80 pipe")) == once

    def test_fields_and_overrides(self) -> None:
        (service,) = listed(
            files.master_cf("[::1]:25 inet n - y - 5 smtpd\n -o a=1\n# x\n\n -o { b = c { d } e }\n")
        )
        assert (service.name, service.chroot, service.command) == ("[::1]:25/inet", "y", "smtpd")
        assert (service.override("a"), service.override("b"), service.override("c")) == (
            "1",
            "c { d } e",
            None,
        )


class TestDrift:
    """What was changed since, and whose it is."""

    def changed(
        self, main: str = "", old: str = "", new: str = "", *, master: bool = False
    ) -> list[tuple[str, str]]:
        once = plan.attached(Configuration(main, "smtp inet n - n - - smtpd\n"), wanted())
        assert old in (once.master if master else once.main)
        after = Configuration(
            once.main if master else once.main.replace(old, new),
            once.master.replace(old, new) if master else once.master,
        )
        return [(found.setting, found.whose) for found in differences(once, after)]

    def test_nothing(self) -> None:
        assert self.changed() == []

    def test_a_setting_of_the_site_s(self) -> None:
        assert self.changed("biff = no\n", "biff = no", "biff = yes") == [("biff", SITE)]

    def test_white_space_and_comments_are_no_difference(self) -> None:
        assert self.changed("biff = no\n", "biff = no", "# really\nbiff=no") == []

    def test_a_setting_of_ours(self) -> None:
        assert self.changed("", "limit = 60s", "limit = 10s") == [("postmask_time_limit", OURS)]

    def test_our_word_gone_from_a_list(self) -> None:
        old, new = "= $postmask_transport_maps, hash:/x", "= hash:/x"
        assert self.changed("transport_maps = hash:/x\n", old, new) == [("transport_maps", OURS)]

    def test_a_list_of_the_site_s_in_which_ours_still_stands(self) -> None:
        assert self.changed("transport_maps = hash:/x\n", "hash:/x", "hash:/y") == [("transport_maps", SITE)]

    def test_a_service_of_ours(self) -> None:
        assert self.changed("", " 8 pipe", " 80 pipe", master=True) == [("postmask/unix", OURS)]

    def test_the_domains_are_no_difference(self) -> None:
        once = plan.attached(Configuration("", ""), wanted())
        assert differences(once, plan.attached(once, wanted("other.test", "more.test"))) == ()


def test_what_is_taken_out_of_a_list() -> None:
    for text, bare in {
        "a = $w, b": "a = b",
        "a = b, $w": "a = b",
        "a = b, $w, c": "a = b, c",
        "a = $w\n": "a =\n",
        "a = $w,\n b": "a =\n b",
        "a = b $w c": "a = b c",
        "a = $wide, $w": "a = $wide",
    }.items():
        assert lists.removed(text, "$w") == bare
    assert Merge.SET not in {parameter.merge for parameter in render.LISTS}
