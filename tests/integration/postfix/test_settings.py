"""The wanted settings on a real Postfix whose Postmask programs are all absent."""

import smtplib
import subprocess

import pytest

from postmask_postfix.sync import sync_domains


def answers(session, *recipients):
    """The codes to RCPT, one transaction."""
    assert session.docmd("MAIL", "FROM:<bob@example.com> SMTPUTF8")[0] == 250
    codes = []
    for recipient in recipients:
        session.send(f"RCPT TO:<{recipient}>\r\n".encode())
        codes.append(session.getreply()[0])
    session.rset()
    return codes


def test_postfix_has_nothing_to_say_about_them(bare):
    for command in (["postfix", "-c", bare.postfix, "check"], ["postconf", "-c", bare.postfix, "-n"],
                    ["postconf", "-c", bare.postfix, "-Mf"]):  # fmt: skip
        assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


def test_without_our_programs_ours_waits_and_the_others_pass(bare):
    with bare.client("127.0.0.1") as session:
        assert answers(session, "x@alias.test", "y@example.org", "X@ALIAS.TEST", "x@alias.test.") == [
            451,
            250,
            451,
            451,
        ]


def test_a_trusted_client_does_not_get_past_the_gate(bare):
    with bare.client("127.0.0.1", login="me") as session:
        assert answers(session, "unknown@alias.test") == [451]


def test_from_outside_only_our_domains_and_their_subdomains_come_in(bare):
    with bare.client() as session:
        asked = {
            "x@alias.test": 451,
            '"a b"@alias.test': 451,
            "x@sub.alias.test": 451,
            "x@notalias.test": 554,
            "x@alias.test.example.org": 554,
            "x@alias-test": 554,
            "x%alias.test@example.org": 554,
            "@alias.test:x@example.org": 554,
            '"x@alias.test"@example.org': 554,
        }
        assert dict(zip(asked, answers(session, *asked), strict=True)) == asked


def test_an_internationalised_domain_is_ours_in_both_forms(bare):
    sync_domains(bare.postfix, ["alias.test", "xn--bcher-kva.test"])
    names = ("x@bücher.test", "x@BÜCHER.test", "x@xn--bcher-kva.test", "x@bucher.test")
    with bare.client() as session:
        assert answers(session, *names) == [451, 451, 451, 554]
    sync_domains(bare.postfix, ["alias.test"])


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({"transport_maps": "static:smtp:[127.0.0.1]:9"}, "postmask:"),
        ({"transport_maps": "regexp:{ {/./ discard:} }"}, "postmask:"),
        ({"transport_maps": "inline:{ {x@alias.test=discard:} }"}, "postmask:"),
        ({"relay_recipient_maps": "inline:{ {known@site.test=1} }"}, "postmask:"),
    ],
)
def test_ours_wins_over_the_site_s_own_tables(site, expected, tmp_path):
    """Merged as attaching does it, then looked up as Postfix does: map by map, full address first."""
    from postmask_postfix import domains, render
    from postmask_postfix.settings import SettingsContext

    context = SettingsContext(door="pipe", pipe_argv=("/bin/false",))
    values = {
        **site,
        **render.main_cf(context, site),
        **domains.parameters(domains.alternations(["alias.test"])),
    }
    (tmp_path / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    (tmp_path / "master.cf").write_text("")
    expanded = subprocess.run(
        ["postconf", "-c", tmp_path, "-xh", "transport_maps"], capture_output=True, text=True, check=True
    ).stdout.strip()
    first = expanded[: expanded.index("} }") + 3]
    asked = subprocess.run(
        ["postmap", "-c", tmp_path, "-q", "x@alias.test", first], capture_output=True, text=True
    )
    assert asked.stdout.strip() == expected
    assert asked.stderr == ""


def test_what_the_pipe_command_fails_with_is_deferred(bare):
    bare.submit("-f", "bob@example.com", "x@alias.test", content=b"Subject: hello\n\nbody\n")
    line = bare.await_log("to=<x@alias.test>, relay=postmask")
    assert "status=deferred" in line
    assert "dsn=4.3.0" in line


class TestReinjection:
    """The listeners through which the forwarder hands in what it made."""

    MESSAGE = (
        b"From: somebody\r\nReturn-Path: <c@d>\r\nX-Odd:   spaces  \r\n\tfolded\r\nX-Long: "
        + b"x" * 120_000
        + b"\r\n"
        b"Sender: <a@b>\r\n\r\nno date, no message id, \xff\xfe, .dots\r\n..\r\n" + b"y" * 2000 + b"\r\n"
    )

    def hand_in(self, session: smtplib.SMTP, content: bytes) -> str:
        """Hand a message in; its queue id."""
        assert session.docmd("XFORWARD", "IDENT=ORIGINAL1")[0] == 250
        session.mail("bob@alias.test", ["BODY=8BITMIME"])
        session.rcpt("me@real.test")
        code, text = session.data(content)
        assert code == 250, text
        return text.decode().rsplit(" ", 1)[-1]

    def test_a_message_leaves_as_it_came(self, bare):
        before = len(bare.delivered())
        with bare.reinjection() as session:
            self.hand_in(session, self.MESSAGE)
        content = bare.await_mail(before + 1)[-1].content
        received, separator, rest = content.partition(b"From: somebody")
        assert received.startswith(b"Received: ")
        # smtp(8) folds the lines over 998 octets on its way out; the queue held them whole.
        unfolded = (separator + rest).replace(b"\r\n ", b"")
        assert unfolded == self.MESSAGE

    def test_the_log_ties_it_to_the_message_that_it_came_from(self, bare):
        with bare.reinjection() as session:
            queue_id = self.hand_in(session, b"Subject: tied\r\n\r\nx\r\n")
        assert bare.await_log(f"{queue_id}: client=").endswith("orig_queue_id=ORIGINAL1")

    def test_mail_to_our_own_domain_is_not_judged_again(self, bare):
        with bare.reinjection() as session:
            session.mail("")
            assert session.rcpt("anything@alias.test")[0] == 250

    def test_the_hold_listener_holds(self, bare):
        with bare.reinjection("hold") as session:
            queue_id = self.hand_in(session, b"Subject: held\r\n\r\nx\r\n")
        held = {entry["queue_id"]: entry["queue_name"] for entry in bare.queue()}
        assert held[queue_id] == "hold"
        bare.run("postsuper", "-c", str(bare.postfix), "-d", queue_id)

    def test_a_message_at_the_outer_limit_fits(self, bare):
        with bare.reinjection() as session:
            assert int(session.esmtp_features["size"]) > 52_428_800

    def test_nobody_can_not_reach_it(self, bare):
        path = bare.described["sockets"]["reinject"]
        tried = subprocess.run(
            ["setpriv", "--reuid", "nobody", "--clear-groups", "--regid", "nogroup", "/usr/bin/python3", "-c",
             "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", path],
            capture_output=True, text=True,
        )  # fmt: skip
        assert "PermissionError" in tried.stderr
