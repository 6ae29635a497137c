"""The configuration: defaults, origins, masked secrets; and errors that say what to correct."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from postmask.config import ConfigError, Settings, load, masked, read, shown
from postmask.config.declare import Derived, declared
from postmask.config.sections import SECTIONS

FILE = Path("/etc/postmask/postmask.toml")


def settings(text: str, **environ: str) -> Settings:
    return read(text, FILE, environ)


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert str(caught.value) == "\n".join(f"{FILE}: {problem}" for problem in caught.value.problems)
    return caught.value.problems


class TestValues:
    def test_an_empty_file_means_every_default(self) -> None:
        found = settings("")
        assert found.database.url == "sqlite:////var/lib/postmask/postmask.db"
        assert found.keys.file == Path("/etc/postmask/keys")
        assert found.postfix.door == "pipe"
        assert found.dns.nameservers == ()
        assert found.mail.notices_from is None
        assert set(found.origins.values()) == {"default"}
        assert found.file == FILE

    def test_every_kind_of_value_is_read(self) -> None:
        found = settings(
            """
            [node]
            name = "MX1.Example.com"
            [database]
            url = "postgresql://node:secret@db/postmask"
            [dns]
            nameservers = ["192.0.2.53", "[::1]:5353", "2001:DB8::53", "127.0.0.1:5300"]
            timeout = 1
            [postfix]
            door = "lmtp"
            [sockets]
            directory = "/run/postmask"
            [forwarder]
            allowed_users = ["nobody", "1000"]
            [mail]
            notices_from = "Postmask@Example.com"
            trusted_forwarders = ["192.0.2.7", "2001:db8::/32", "Lists.Example.org"]
            """
        )
        assert found.node.name == "mx1.example.com"
        assert found.dns.nameservers == (
            ("192.0.2.53", 53),
            ("::1", 5353),
            ("2001:db8::53", 53),
            ("127.0.0.1", 5300),
        )
        assert found.dns.timeout == 1.0
        assert found.sockets.alias == Path("/run/postmask/alias.sock")
        assert found.sockets.scan == Path("/run/postmask/scan.sock")
        assert found.sockets.gate == Path("/run/postmask/gate.sock")
        assert found.sockets.forwarder == Path("/run/postmask/forwarder.sock")
        assert found.forwarder.allowed_users == ("nobody", "1000")
        assert found.mail.notices_from == "Postmask@example.com"
        assert found.mail.trusted_forwarders == ("192.0.2.7/32", "2001:db8::/32", "lists.example.org")
        assert found.origins["dns.timeout"] == "file"
        assert found.origins["reinject.timeout"] == "default"

    def test_what_the_doctor_is_told(self) -> None:
        found = settings(
            """
            [doctor]
            addresses = ["192.0.2.7", "2001:DB8:0::7"]
            exchangers = ["MX2.Example.org"]
            blocklists = []
            """
        )
        assert found.doctor.addresses == ("192.0.2.7", "2001:db8::7")
        assert found.doctor.exchangers == ("mx2.example.org",)
        assert found.doctor.blocklists == ()

    def test_engines_of_the_spam_check(self) -> None:
        found = settings(
            """
            [spool]
            path = "/srv/postmask/spool.db"
            [spam]
            engines = ["rspamd", "spamd"]
            [spamd]
            address = "unix:/run/spamd.sock"
            [rspamd]
            address = "[::1]:11333"
            """
        )
        assert found.spam.engines == ("rspamd", "spamd")
        assert found.spam.directory == Path("/srv/postmask")
        assert found.spamd.address == Path("/run/spamd.sock")
        assert found.rspamd.address == ("::1", 11333)
        assert settings("").spam.engines == ()

    def test_the_owner_s_url_is_the_programs_unless_set(self) -> None:
        one = "url = 'postgresql://node@db/postmask'"
        assert settings(f"[database]\n{one}").database.owner_url == "postgresql://node@db/postmask"
        two = "owner_url = 'postgresql://owner@db/postmask'"
        assert settings(f"[database]\n{one}\n{two}").database.owner_url == "postgresql://owner@db/postmask"

    @pytest.mark.parametrize(
        "url",
        [
            "sqlite:////tmp/x.db",
            "sqlite+pysqlite:////tmp/x.db",
            "postgresql:///postmask",
            "postgresql://user@/postmask?host=/run/postgresql",
            "postgresql+psycopg2://user:p%40ss@[::1]:5432/postmask",
            "postgresql://user:pass@db1:5432,db2:5433/postmask?target_session_attrs=read-write",
            "postgresql://user:pass@[::1]:5432,[2001:db8::2]/postmask",
            "postgresql://user:pass@%2Frun%2Fpostgresql/postmask",
            "postgresql://user:pass@db1/postmask?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        ],
    )
    def test_database_urls(self, url: str) -> None:
        assert settings(f"[database]\nurl = {url!r}").database.url == url

    def test_settings_are_frozen(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            settings("").dns.timeout = 3.0  # type: ignore[misc]


class TestDeclarations:
    @pytest.mark.parametrize("setting", list(declared(SECTIONS)), ids=lambda setting: setting.name)
    def test_every_default_is_a_value_of_its_kind(self, setting: object) -> None:
        assert hasattr(setting, "default")
        assert hasattr(setting, "kind")
        if not isinstance(setting.default, Derived):
            setting.kind.read(setting.default)

    def test_every_section_is_a_part_of_the_settings(self) -> None:
        fields = [field.name for field in dataclasses.fields(Settings)]
        assert fields == [*SECTIONS, "file", "origins"]


class TestCredential:
    def test_systemd_s_credential_is_used_where_there_is_one(self, tmp_path: Path) -> None:
        (tmp_path / "keys").touch()
        found = settings("", CREDENTIALS_DIRECTORY=str(tmp_path))
        assert found.keys.file == tmp_path / "keys"
        assert found.origins["keys.file"] == "credential"

    def test_other_credentials_do_not_matter(self, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        assert settings("", CREDENTIALS_DIRECTORY=str(tmp_path)).keys.file == Path("/etc/postmask/keys")


class TestFile:
    def test_argument_over_environment(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        one.write_text("[node]\nname = 'one.example'")
        two.write_text("[node]\nname = 'two.example'")
        environ = {"POSTMASK_CONFIG": str(one)}
        assert load(None, environ).node.name == "one.example"
        assert load(two, environ).node.name == "two.example"

    def test_missing(self, tmp_path: Path) -> None:
        file = tmp_path / "none.toml"
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        assert str(caught.value) == (
            f"{file}: no such file; create it (an empty one means the default of every setting), "
            "or name another with --config or POSTMASK_CONFIG"
        )

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="can't be read: Is a directory"):
            load(tmp_path, {})

    def test_not_utf_8(self, tmp_path: Path) -> None:
        file = tmp_path / "latin-1.toml"
        file.write_bytes(b"# gr\xfc\xdfe")
        with pytest.raises(ConfigError, match="is not UTF-8 at octet 4; save it as UTF-8"):
            load(file, {})

    def test_a_byte_order_mark_is_no_trouble(self, tmp_path: Path) -> None:
        file = tmp_path / "windows.toml"
        file.write_text("[dns]\r\ntimeout = 3\r\n", encoding="utf-8-sig", newline="")
        assert load(file, {}).dns.timeout == 3.0


class TestShown:
    def test_every_setting_with_origin_as_toml(self) -> None:
        found = settings("[dns]\nnameservers = ['::1']\ntimeout = 0.5\n[node]\nname = 'mx.example'")
        texts = {setting.name: (setting.text, setting.origin) for setting in shown(found)}
        assert texts["dns.nameservers"] == ('["[::1]:53"]', "file")
        assert texts["dns.timeout"] == ("0.5", "file")
        assert texts["postfix.config_dir"] == ('"/etc/postfix"', "default")
        assert texts["mail.notices_from"] == ("", "default")
        assert list(texts) == [setting.name for setting in declared(SECTIONS)]

    def test_what_is_shown_reads_back(self) -> None:
        found = settings(
            "[dns]\nnameservers = ['::1']\n[forwarder]\nallowed_users = ['a', 'b']\n[node]\nname = 'mx'\n"
            "[spam]\nengines = ['spamd']\n[spamd]\naddress = 'unix:/run/s'\n[rspamd]\naddress = '[::1]:1'"
        )
        text = "\n".join(f"{setting.name} = {setting.text}" for setting in shown(found) if setting.text)
        again = settings(text)
        assert dataclasses.replace(again, origins=found.origins) == found

    @pytest.mark.parametrize(
        ("url", "shown_as"),
        [
            ("postgresql://user:secret@db/x", "postgresql://user:***@db/x"),
            ("postgresql://user:se@cret/:@db/x", "postgresql://user:***@db/x"),
            ("postgresql:///x?user=a&password=secret&host=b", "postgresql:///x?user=a&password=***&host=b"),
            ("postgresql://user@db/x", "postgresql://user@db/x"),
            ("postgresql://u:secret@a:1,b:2/x", "postgresql://u:***@a:1,b:2/x"),
            ("postgresql://u:secret@[::1]:1,[::2]/x?a=b", "postgresql://u:***@[::1]:1,[::2]/x?a=b"),
            ("postgresql://u:secret@%2Frun%2Fpg/x", "postgresql://u:***@%2Frun%2Fpg/x"),
            (
                "postgresql://u:secret@a/x?sslmode=verify-full&sslkey=/k&sslpassword=secret2",
                "postgresql://u:***@a/x?sslmode=verify-full&sslkey=/k&sslpassword=***",
            ),
            ("postgresql://[::1]:5432/x", "postgresql://[::1]:5432/x"),
            ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ],
    )
    def test_passwords_are_masked(self, url: str, shown_as: str) -> None:
        assert masked(url) == shown_as
        values = {setting.name: setting.value for setting in shown(settings(f"[database]\nurl = '{url}'"))}
        assert values["database.url"] == shown_as
        assert values["database.owner_url"] == shown_as


def test_all_problems_are_told_at_once() -> None:
    assert problems("[dns]\ntimeout = 'x'\nnameserver = []\n[log]\nlevel = 'loud'") == (
        "dns.nameserver: no such key; did you mean dns.nameservers?",
        'dns.timeout: expected a number of seconds from 0.1 to 20, not "x"',
        'log.level: expected one of "debug", "info", "warning", "error", not "loud"',
    )


def test_a_secret_is_masked() -> None:
    found = settings("[rspamd]\npassword = 'hush'")
    assert found.rspamd.password == "hush"
    values = {setting.name: setting.text for setting in shown(found)}
    assert values["rspamd.password"] == '"***"'
    assert problems("[rspamd]\npassword = 'hüsh'") == ("rspamd.password: expected a text in printable ASCII",)


def test_no_password_in_an_error() -> None:
    (problem,) = problems("[database]\nurl = 'mysql://user:secret@db/x'")
    assert "secret" not in problem
