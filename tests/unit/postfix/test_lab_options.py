"""What a lab may be asked for, and what it remembers."""

import os
from pathlib import Path

import pytest

from postmask import keys
from postmask.clock import ManualClock
from postmask.config import read
from postmask_postfix.instance import Instance, InstanceError
from postmask_postfix.lab import LabError, LabOptions, postfix, state
from postmask_postfix.lab import layout as layouts
from postmask_postfix.lab.options import Made, endpoint
from postmask_postfix.lab.state import configuration

HERE = Path("/tmp/lab")


@pytest.mark.parametrize(
    "options",
    [
        {"door": "window"},
        {"smtp": 0},
        {"smtp": 65536},
        {"sink": "127.0.0.1"},
        {"sink": ":25"},
        {"sink": "host:0"},
        {"nameserver": "host:x"},
        {"spamd": "127.0.0.1"},
        {"rspamd": "127.0.0.1:0"},
        {"node": "two words"},
        {"programs": {"postgres": "true"}},
        {"programs": {"agent": ""}},
        {"programs": {"agent": "'unbalanced"}},
    ],
)
def test_impossible_options_are_usage_errors(options):
    with pytest.raises(LabError) as refused:
        LabOptions(HERE, **options)
    assert refused.value.exit_code == os.EX_USAGE


def test_endpoints():
    assert endpoint("--sink", "127.0.0.1:2525") == ("127.0.0.1", 2525)
    assert endpoint("--sink", "[::1]:25") == ("::1", 25)


def made(**options):
    return Made(LabOptions(HERE, **options), 2525, 2526)


def test_memory_survives_being_written():
    full = made(
        door="lmtp",
        node="mx2",
        keys=HERE / "keys",
        sink="127.0.0.1:9",
        nameserver="127.0.0.1:53",
        spamd="127.0.0.1:783",
        rspamd="[::1]:11333",
        programs={"agent": "sleep 1"},
    )
    again = Made.from_json(HERE, full.to_json())
    assert again == full
    assert again.relay == "127.0.0.1:9"


def test_what_is_not_said_agrees():
    made(door="lmtp", sink="127.0.0.1:9", programs={"agent": "sleep 1"}).agree(LabOptions(HERE))


def test_the_same_again_agrees():
    made().agree(LabOptions(HERE, door="pipe", smtp=2525))


@pytest.mark.parametrize(
    "asked",
    [
        {"door": "lmtp"},
        {"smtp": 2599},
        {"sink": "127.0.0.1:9"},
        {"nameserver": "127.0.0.1:53"},
        {"spamd": "127.0.0.1:783"},
        {"rspamd": "127.0.0.1:11333"},
        {"database": "postgresql://owner:secret@/x"},
        {"node": "mx2"},
        {"keys": HERE / "keys"},
        {"programs": {"agent": "sleep 1"}},
    ],
)
def test_a_different_option_is_refused_without_showing_its_value(asked):
    with pytest.raises(LabError) as refused:
        made().agree(LabOptions(HERE, **asked))
    assert refused.value.exit_code == os.EX_USAGE
    assert "secret" not in str(refused.value)


def test_nor_is_the_value_shown_that_it_was_made_with():
    before = made(database="postgresql://owner:secret@/x")
    with pytest.raises(LabError, match="another --database") as refused:
        before.agree(LabOptions(HERE, database="postgresql://owner:other@/x"))
    assert "secret" not in str(refused.value)
    assert "other@" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"database": 1}'])
def test_a_damaged_memory_is_said_to_be_damaged(text):
    with pytest.raises(LabError, match="damaged"):
        Made.from_json(HERE, text)


@pytest.mark.parametrize("name", ["a b", "a{b", "a$b", "a'b", "ä"])
def test_folders_that_postfix_can_not_name(name, tmp_path):
    with pytest.raises(LabError) as refused:
        layouts.at(tmp_path / name)
    assert refused.value.exit_code == os.EX_USAGE


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(LabError) as refused:
        layouts.prepare(layouts.at(tmp_path))
    assert refused.value.exit_code == os.EX_CANTCREAT
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_that_others_can_not_reach_is_refused(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o700)
    with pytest.raises(LabError, match="mine") as refused:
        layouts.prepare(layouts.at(tmp_path / "mine" / "lab"))
    assert refused.value.exit_code == os.EX_NOPERM


@pytest.mark.parametrize("name", ["lab", "link"])
def test_a_folder_or_link_of_another_user_is_refused(name, tmp_path):
    """As anybody may make one in /tmp, with a lab.json that says what root is to run."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "link").symlink_to("new")
    os.chown(tmp_path / name, 65_534, -1, follow_symlinks=False)
    with pytest.raises(LabError, match="belongs to another user") as refused:
        layouts.at(tmp_path / name)
    assert refused.value.exit_code == os.EX_NOPERM


def test_a_link_of_ones_own_to_another_user_s_folder_is_refused(tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "link").symlink_to("lab")
    os.chown(tmp_path / "lab", 65_534, -1)
    with pytest.raises(LabError, match="belongs to another user"):
        layouts.at(tmp_path / "link")


def test_what_is_put_there_only_root_can_read(tmp_path):
    """Also where a call that was killed has left something in its way."""
    for name in ("postmask.toml", "lab.json"):
        (tmp_path / f".{name}.new").write_text("half")
        (tmp_path / f".{name}.new").chmod(0o644)
        layouts.put(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_another_user_makes_meanwhile_is_refused(tmp_path):
    layout = layouts.at(tmp_path / "lab")
    layout.directory.mkdir()
    os.chown(layout.directory, 65_534, -1)
    with pytest.raises(LabError, match="belongs to another user"):
        layouts.prepare(layout)


class Stopped:
    """An instance whose start fails."""

    def master_pid(self):
        return None

    finished = 0

    def command(self, *words):
        return words

    def finish(self, started):
        Stopped.finished += 1
        raise InstanceError(f"postfix {started[0]} failed")


def test_what_ended_the_start_is_told_and_not_what_postfix_says_of_it(monkeypatch):
    monkeypatch.setattr(postfix, "_await_port", lambda _port: None)
    monkeypatch.setattr(Stopped, "finished", 0)
    with pytest.raises(KeyboardInterrupt), postfix.started(Stopped(), 25):
        raise KeyboardInterrupt
    assert Stopped.finished == 1, "a start that goes on would outlive what is undone"
    with pytest.raises(LabError, match="postfix start failed"), postfix.started(Stopped(), 25):
        pass


def test_whoever_makes_it_postfix_and_nobody_reach_the_sockets(tmp_path):
    before = os.umask(0o077)
    try:
        postfix.make_socket_folder(layouts.at(tmp_path))
    finally:
        os.umask(before)
    sockets = tmp_path / "queue" / "postmask"
    assert sockets.stat().st_mode & 0o777 == 0o711
    assert (sockets / "pipe").owner() == "nobody"


def test_another_lab_s_secrets_are_copied_for_root_alone(tmp_path):
    clock = ManualClock()
    layout, other = layouts.at(tmp_path), tmp_path / "other"
    keys.init(other, clock)
    state._keys(layout.keys, other, clock)
    assert layout.keys.read_bytes() == other.read_bytes()
    assert layout.keys.stat().st_mode & 0o777 == 0o600


def test_what_holds_no_secrets_is_not_copied(tmp_path):
    layout, other = layouts.at(tmp_path), tmp_path / "other"
    other.write_text("dear")
    with pytest.raises(LabError, match="--keys: ") as refused:
        state._keys(layout.keys, other, ManualClock())
    assert refused.value.exit_code == os.EX_NOINPUT
    assert not layout.keys.exists()


def test_folders_made_in_vain_go_again(tmp_path):
    (tmp_path / "old").mkdir(mode=0o700)
    for folder in (tmp_path / "old", tmp_path / "old" / "new" / "lab"):
        with pytest.raises(LabError), layouts.prepared(layouts.at(folder)):
            raise LabError("the port is taken", os.EX_UNAVAILABLE)
        assert not (tmp_path / "old" / "new").exists()
    assert (tmp_path / "old").exists()


def test_a_path_that_is_too_long_for_postfix_is_refused():
    assert layouts.at(Path("/" + "x" * 85)).directory == Path("/" + "x" * 85)
    with pytest.raises(LabError, match="too long by 1") as refused:
        layouts.at(Path("/" + "x" * 86))
    assert refused.value.exit_code == os.EX_USAGE


def test_a_name_server_and_a_sink_may_be_of_ipv6():
    chosen = made(nameserver="[::1]:5353", sink="[::1]:2526")
    text = configuration(layouts.at(HERE), chosen, "sqlite:////x", "sqlite:////x")
    assert read(text, HERE / "postmask.toml", {}).dns.nameservers == (("::1", 5353),)
    assert Instance(HERE).base_parameters(chosen.relay)["relayhost"] == "[::1]:2526"


@pytest.mark.parametrize(
    ("options", "engines"),
    [
        ({}, ()),
        ({"rspamd": "[::1]:11333"}, ("rspamd",)),
        ({"rspamd": "[::1]:11333", "spamd": "127.0.0.2:783"}, ("spamd", "rspamd")),
    ],
)
def test_engines_that_are_named_are_configured(options, engines):
    text = configuration(layouts.at(HERE), made(**options), "sqlite:////x", "sqlite:////x")
    found = read(text, HERE / "postmask.toml", {})
    assert found.spam.engines == engines
    if "spamd" in options:
        assert found.spamd.address == ("127.0.0.2", 783)
    if "rspamd" in options:
        assert found.rspamd.address == ("::1", 11333)
