"""A lab's life: up, down, repaired, refused."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab import IDLE, lab
from ports import free_port
from postmask_postfix import lab as labs
from postmask_postfix import processes
from postmask_postfix.lab import LabError, LabOptions


@pytest.fixture(scope="module")
def whole():
    """All programs, the pipe door."""
    with lab() as running:
        yield running


def up(running, **options):
    return labs.up(LabOptions(running.directory, **options))


class TestUp:
    def test_what_it_tells(self, whole):
        told = whole.described
        assert json.loads(json.dumps(told)) == told
        assert told["smtp"].startswith("127.0.0.1:")
        for key in ("config", "postfix", "queue", "sink", "log"):
            assert Path(told[key]).exists(), key
        assert set(told["pids"]) == {"postfix", "sink", "milter-alias", "milter-scan", "forwarder", "agent"}
        assert all(pids and all(map(processes.alive, pids)) for pids in told["pids"].values())
        assert all(Path(path).is_socket() for path in told["sockets"].values())

    def test_it_answers(self, whole):
        with whole.client() as session:
            session.mail("bob@example.com")
            assert session.rcpt("x@elsewhere.example")[0] == 554

    def test_secrets_are_the_caller_s_alone(self, whole):
        for name in ("postmask.toml", "keys", "lab.json"):
            assert (whole.directory / name).stat().st_mode & 0o077 == 0, name

    def test_the_pipe_client_is_where_nobody_can_read_it(self, whole):
        client = whole.directory / "pipe" / "postmask_pipe.py"
        as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        subprocess.run([*as_nobody, "cat", client], check=True, capture_output=True)

    def test_nothing_starts_with_a_warning(self, whole):
        assert "warning" not in whole.log()
        assert "fatal" not in whole.log()

    def test_again_changes_nothing(self, whole):
        before = labs.status(whole.directory)["pids"]
        again = up(whole)["pids"]
        assert [pids[0] for pids in again.values()] == [pids[0] for pids in before.values()]

    def test_another_option_is_refused(self, whole):
        with pytest.raises(LabError) as refused:
            up(whole, door="lmtp")
        assert refused.value.exit_code == os.EX_USAGE


class TestRepair:
    @pytest.mark.parametrize("program", ["sink", "milter-alias", "milter-scan", "forwarder", "agent"])
    def test_a_killed_program_is_started_again(self, whole, program):
        whole.send_signal(program, signal.SIGKILL)
        assert labs.status(whole.directory)["pids"][program] == []
        assert not labs.status(whole.directory)["up"]
        whole.up()
        assert labs.status(whole.directory)["up"]

    def test_a_killed_postfix_is_started_again(self, whole):
        whole.send_signal("postfix", signal.SIGKILL)
        whole.up()
        assert labs.status(whole.directory)["up"]
        with whole.client() as session:
            assert session.mail("bob@example.com")[0] == 250

    def test_a_killed_master_alone_leaves_no_port_behind(self, whole):
        with whole.client():
            os.kill(labs.status(whole.directory)["pids"]["postfix"][0], signal.SIGKILL)
        whole.up()
        with whole.client() as session:
            assert session.mail("bob@example.com")[0] == 250

    def test_a_damaged_pipe_client_is_copied_anew(self, whole):
        client = whole.directory / "pipe" / "postmask_pipe.py"
        good = client.read_bytes()
        client.write_bytes(b"\0" * len(good))
        whole.up()
        assert client.read_bytes() == good

    def test_a_pid_that_is_another_process_by_now_counts_as_dead(self, whole):
        agent = labs.status(whole.directory)["pids"]["agent"][0]
        (whole.directory / "run" / "agent.pid").write_text(f"{os.getpid()} 1\n")
        assert labs.status(whole.directory)["pids"]["agent"] == []
        os.kill(agent, signal.SIGKILL)
        whole.up()
        assert labs.status(whole.directory)["up"]


class TestDown:
    def test_down_and_up_again_keeps_what_there_was(self):
        with lab(programs={**IDLE, "pipe": "/bin/false"}) as running:
            first = running.described
            labs.down(running.directory)
            stopped = labs.status(running.directory)
            assert not any(stopped["pids"].values())
            assert not any(processes.alive(pid) for pids in first["pids"].values() for pid in pids)
            running.up()
            assert running.described["smtp"] == first["smtp"]
            assert running.described["sink"] == first["sink"]

    def test_down_twice_is_no_error(self):
        with lab(programs={**IDLE, "pipe": "/bin/false"}) as running:
            labs.down(running.directory)
            labs.down(running.directory)

    def test_a_frozen_program_is_ended_too(self):
        with lab(programs={**IDLE, "pipe": "/bin/false"}) as running:
            running.send_signal("agent", signal.SIGSTOP)
            labs.down(running.directory)
            assert not any(labs.status(running.directory)["pids"].values())

    @pytest.mark.parametrize("verb", [labs.down, labs.status])
    def test_where_there_is_no_lab(self, verb, tmp_path):
        with pytest.raises(LabError) as refused:
            verb(tmp_path)
        assert refused.value.exit_code == os.EX_NOINPUT


class TestOptions:
    def test_ports_and_sink_as_asked(self):
        port = free_port()
        with lab(programs=IDLE | {"pipe": "/bin/false"}, sink="127.0.0.1:9", smtp=port) as running:
            assert running.described["smtp"] == f"127.0.0.1:{port}"
            assert running.described["sink"] == "127.0.0.1:9"
            assert "sink" not in running.described["pids"]

    def test_the_longest_path_will_do(self):
        with lab(Path(f"/tmp/{os.getpid()}-".ljust(86, "x"))) as running:
            assert len(running.described["sockets"]["forwarder"]) > 107
            running.postmask("domain", "add", "alias.test", "--postmaster", "me@real.test")
            with running.client() as session:
                session.mail("bob@example.com")
                assert session.rcpt("unknown@alias.test")[0] == 550
        shutil.rmtree(running.directory)

    def test_a_program_that_ends_at_once_is_an_error_with_its_log(self):
        with lab(programs={**IDLE, "pipe": "/bin/false"}) as running:
            labs.down(running.directory)
            memory = json.loads((running.directory / "lab.json").read_text())
            del memory["exec"]["agent"]
            (running.directory / "lab.json").write_text(json.dumps(memory))
            running.config.write_text("[nonsense]\n")
            with pytest.raises(LabError, match=r"ended before it was ready(.|\n)*nonsense") as failed:
                running.up()
            assert failed.value.exit_code == os.EX_UNAVAILABLE
            assert running.config.read_text() == "[nonsense]\n", "a lab that was there is kept"

    def test_a_taken_port_is_said(self):
        with lab(programs={**IDLE, "pipe": "/bin/false"}) as running:
            port = int(running.described["smtp"].split(":")[1])
            with (
                pytest.raises(LabError, match="in use"),
                lab(programs=IDLE | {"pipe": "/bin/false"}, smtp=port),
            ):
                pass

    def test_a_lab_that_could_not_be_made_leaves_nothing_behind(self, tmp_path):
        folder = Path(f"/tmp/postmask-undone-{os.getpid()}")
        options = {"database": "postgresql://nobody:secret@127.0.0.1:9/none", "programs": IDLE}
        with pytest.raises(LabError, match="database") as failed, lab(folder, **options):
            pass
        assert "secret" not in str(failed.value)
        assert not folder.exists()
