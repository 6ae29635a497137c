"""Gate and milter killed, frozen, stopped, in the middle of a session: ours waits, the rest passes."""

import signal
import smtplib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freezing import freeze, thaw
from milter_lab import LISTENERS, MilterLab, wait_for
from postmask.daemon import connect_unix

OURS = ("shop@alias.test", "nosuch@alias.test", "user@sub.alias.test")
FOREIGN = "user@elsewhere.test"


def codes(client: smtplib.SMTP, *recipients: str) -> list[int]:
    return [client.docmd(f"RCPT TO:<{recipient}>")[0] for recipient in recipients]


def mail(client: smtplib.SMTP) -> None:
    assert client.docmd("MAIL FROM:<bob@sender.test>")[0] == 250


def test_killed_in_the_middle_of_a_session(lab: MilterLab) -> None:
    with lab.smtp() as client:
        mail(client)
        assert codes(client, *OURS, FOREIGN) == [250, 550, 550, 250]
        lab.kill()
        assert codes(client, *OURS, FOREIGN) == [451, 451, 451, 250]
        lab.start()
        # This session's milter is gone for good; the gate's second try finds the new one.
        assert codes(client, *OURS, FOREIGN) == [250, 550, 550, 250]
    with lab.smtp() as client:
        mail(client)
        assert codes(client, *OURS, FOREIGN) == [250, 550, 550, 250]


def test_dead_before_the_session(lab: MilterLab) -> None:
    lab.kill()
    with lab.smtp() as client:
        mail(client)
        assert codes(client, *OURS, FOREIGN) == [451, 451, 451, 250]


def test_frozen_costs_the_host_no_more_than_the_milters_time_outs(lab: MilterLab) -> None:
    assert lab.program is not None
    freeze(lab.program.pid)
    began = time.monotonic()
    with lab.smtp() as client:
        mail(client)
        assert codes(client, FOREIGN) == [250]
        # connect_timeout does not end a connection that the kernel took; one command_timeout of 2 s does.
        assert time.monotonic() - began < 5
        began = time.monotonic()
        assert codes(client, OURS[0]) == [451]
        assert time.monotonic() - began < 9  # two tries of 2 s and a second between them


def test_frozen_in_the_middle_of_a_session(lab: MilterLab) -> None:
    assert lab.program is not None
    with lab.smtp() as client:
        mail(client)
        assert codes(client, *OURS, FOREIGN) == [250, 550, 550, 250]
        freeze(lab.program.pid)
        began = time.monotonic()
        assert codes(client, FOREIGN) == [250]
        assert time.monotonic() - began < 5
        assert codes(client, *OURS[:2], FOREIGN) == [451, 451, 250]
        thaw(lab.program.pid)
        wait_for(lambda: codes(client, OURS[0], FOREIGN) == [250, 250])


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_decision_that_hangs_holds_up_its_own_recipient_alone(lab: MilterLab, listener: str) -> None:
    with lab.smtp(listener) as stuck, lab.smtp(listener) as other:
        mail(stuck)
        mail(other)
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(codes, stuck, "wait@alias.test")
            wait_for((lab.sockets / "waiting").exists)
            assert codes(other, *OURS[:2], FOREIGN) == [250, 550, 250]
            # The milter alone has no better word than silence; the gate can't tell.
            assert hanging.result(30) == ([250] if listener == "milter" else [451])
            assert codes(stuck, *OURS[:2], FOREIGN) == [250, 550, 250]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("listener", ["gate", "milter"])
def test_the_first_signal_finishes_the_answer_under_way(
    lab: MilterLab, listener: str, number: signal.Signals
) -> None:
    assert lab.program is not None
    seen = len(lab.log())
    with lab.smtp(listener) as client, ThreadPoolExecutor(1) as pool:
        mail(client)
        running = pool.submit(codes, client, "wait@alias.test")
        wait_for((lab.sockets / "waiting").exists)
        lab.program.send_signal(number)
        wait_for(lambda: "stopping: " in lab.log()[seen:])
        (lab.sockets / "go").touch()
        assert running.result(30) == [250]
        assert lab.program.wait(30) == 0
        # Stopped in order: what comes now finds nobody, and is treated as when we are dead.
        assert codes(client, OURS[1], FOREIGN) == ([451, 250] if listener == "gate" else [250, 250])


def test_an_idle_program_stops_at_once(lab: MilterLab) -> None:
    assert lab.program is not None
    with lab.smtp() as client:
        mail(client)
        codes(client, OURS[0])
        lab.program.send_signal(signal.SIGTERM)
        assert lab.program.wait(3) == 0


def test_the_second_signal_ends_at_once(lab: MilterLab) -> None:
    assert lab.program is not None
    seen = len(lab.log())
    with lab.smtp("gate") as client, ThreadPoolExecutor(1) as pool:
        mail(client)
        running = pool.submit(codes, client, "wait@alias.test")
        wait_for((lab.sockets / "waiting").exists)
        lab.program.send_signal(signal.SIGTERM)
        wait_for(lambda: "stopping: " in lab.log()[seen:])
        lab.program.send_signal(signal.SIGTERM)
        assert lab.program.wait(3) == 1
        assert running.result(30) == [451]


def test_signals_are_ours_and_not_libmilters(lab: MilterLab) -> None:
    """libmilter waits for the same signals; were it to win, the end would come without a drain."""
    for _ in range(10):
        assert lab.program is not None
        seen = len(lab.log())
        lab.program.send_signal(signal.SIGTERM)
        assert lab.program.wait(4) == 0
        assert "libmilter ended" not in lab.log()[seen:]
        lab.start()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(lab: MilterLab) -> None:
    lab.kill()
    assert (lab.sockets / "gate.sock").exists()
    lab.start()
    mode = (lab.sockets / "alias.sock").stat().st_mode
    assert oct(mode & 0o777) == "0o660"
    assert (lab.sockets / "alias.sock").group() == "postfix"


def test_hundreds_of_connections_at_once(lab: MilterLab) -> None:
    question = (
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=bob@sender.test\n"
        b"recipient=nosuch@alias.test\n\n"
    )
    wanted = b"action=550 5.1.1 no such address here\n\n"

    def connected() -> socket.socket:
        return connect_unix(lab.sockets / "gate.sock", 30)

    peers = [connected() for _ in range(500)]
    for peer in peers:
        peer.sendall(question)
    assert [peer.recv(200) for peer in peers] == [wanted] * 500
    with connected() as one_more:
        one_more.sendall(question)
        assert one_more.recv(200).startswith(b"action=450 4.3.2 ")
    for peer in peers:
        peer.close()


def test_the_milters_client_may_vanish_or_talk_nonsense(lab: MilterLab) -> None:
    path: Path = lab.sockets / "alias.sock"
    for octets in (b"", b"\0", b"\xff" * 100, b"\0\0\0\1Q", b"\0\0\0\1Z", b"\0\0\0\x0dO" + b"\xff" * 12):
        with connect_unix(path, 5) as peer:
            peer.sendall(octets)
    with lab.smtp("milter") as client:
        mail(client)
        assert codes(client, *OURS[:2], FOREIGN) == [250, 550, 250]


def test_many_sessions_at_once_each_get_their_own_answers(lab: MilterLab) -> None:
    def session(number: int) -> list[int]:
        with lab.smtp() as client:
            mail(client)
            return codes(client, "shop@alias.test", f"no{number}@alias.test", FOREIGN)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(session, range(80))) == [[250, 550, 250]] * 80
