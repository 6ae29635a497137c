"""Our playbooks, as they are written."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).parents[3]
ANSIBLE = ROOT / "ansible"


def plays() -> list[Any]:
    """Each play that plays all of postmask_mx, with where it stands."""
    found = []
    for playbook in sorted(ANSIBLE.glob("*.yml")):
        read = yaml.safe_load(playbook.read_text())
        for number, play in enumerate(read if isinstance(read, list) else []):
            included = [task.get("ansible.builtin.include_role", {}) for task in play.get("tasks", [])]
            whole = [role["name"] for role in included if "tasks_from" not in role and "name" in role]
            if "postmask_mx" in [role["role"] for role in play.get("roles", [])] + whole:
                found.append(pytest.param(play, id=f"{playbook.name}-{number}"))
    return found


@pytest.mark.parametrize("play", plays())
def test_what_other_roles_have_to_say_in_postmask_toml_is_known(play: dict[str, Any]) -> None:
    """A role's defaults are, where it is played; without them its settings would be taken out of the file."""
    defaults = yaml.safe_load((ANSIBLE / "roles/postmask_mx/defaults/main.yml").read_text())
    asked = re.findall(r"(postmask_\w+)_settings", "".join(defaults["postmask_mx_settings_of_roles"]))
    assert asked == ["postmask_dns", "postmask_spam"]
    assert set(asked) <= {role["role"] for role in play["roles"]}


def test_what_a_site_had_comes_back_as_whose_it_was() -> None:
    """Rspamd isn't root, and doesn't start where it can't read one of its files."""
    tasks = yaml.safe_load((ANSIBLE / "roles/postmask_spam/tasks/present.yml").read_text())
    (kept,) = (task["ansible.builtin.copy"] for task in tasks if task["name"] == "Is kept")
    assert (kept["owner"], kept["group"], kept["mode"]) == ("{{ item.uid }}", "{{ item.gid }}", "preserve")


def test_what_is_installed_can_be_read_by_all(tmp_path: Path) -> None:
    """By the programs' user too, where root's files are root's alone."""
    tasks = yaml.safe_load((ANSIBLE / "roles/postmask_mx/tasks/install.yml").read_text())
    commands = [task["ansible.builtin.command"] for task in tasks if "ansible.builtin.command" in task]
    assert {command["argv"].split()[1] for command in commands} == {"postmask_mx_for_all"}
    made = tmp_path / "made"
    subprocess.run([*before_each(tmp_path), "mkdir", str(made)], umask=0o077, check=True)
    assert made.stat().st_mode & 0o777 == 0o755


def before_each(venv: Path) -> list[str]:
    """What comes before each command that changes this virtual environment."""
    told = yaml.safe_load((ANSIBLE / "roles/postmask_mx/vars/main.yml").read_text())
    return [word.replace("{{ postmask_mx_venv }}", str(venv)) for word in told["postmask_mx_for_all"]]


def test_of_two_plays_one_waits_for_the_pip_of_the_other(tmp_path: Path) -> None:
    held = subprocess.run(
        [*before_each(tmp_path), "flock", "--nonblock", "--conflict-exit-code=75", tmp_path, "true"]
    )
    assert held.returncode == 75


def test_what_an_interrupted_play_left_is_made_good() -> None:
    """What may call for a restart comes after the mark, which goes when the programs were restarted."""
    tasks = yaml.safe_load((ANSIBLE / "roles/postmask_mx/tasks/present.yml").read_text())
    said, marked, *others = tasks
    assert "ansible.builtin.assert" in said
    assert marked["notify"] == "Restart the programs"
    assert marked["changed_when"] == f"{marked['register']} is not changed"
    mark = marked["ansible.builtin.copy"]
    assert not mark["force"]
    steps = [step for task in others for step in task.get("block", [task])]
    flushed = next(number for number, step in enumerate(steps) if "ansible.builtin.meta" in step)
    assert steps[flushed + 1]["ansible.builtin.file"] == {"path": mark["dest"], "state": "absent"}


def test_each_playbook_begins_with_the_names_of_variables() -> None:
    for playbook in ANSIBLE.glob("*.yml"):
        read = yaml.safe_load(playbook.read_text())
        if isinstance(read, list) and playbook.name != "names.yml":
            assert read[0].get("ansible.builtin.import_playbook") == "names.yml", playbook.name


def test_a_postfix_that_was_installed_is_set_up_also_by_the_next_play() -> None:
    """Its package brings a main.cf: a mark says that it isn't the site's until it has a certificate."""
    look, block, _ = yaml.safe_load((ANSIBLE / "roles/postmask_mx/tasks/postfix.yml").read_text())
    main, mark = look["loop"]
    assert main == "/etc/postfix/main.cf"
    found = [f"{look['register']}.results[{number}].stat.exists" for number in (0, 1)]
    assert block["when"] == f"not {found[0]} or {found[1]}"
    steps = [next(key for key in task if key.startswith("ansible.")) for task in block["block"]]
    marks = [task.get("ansible.builtin.copy", {}).get("dest") == mark for task in block["block"]]
    assert marks.index(True) < steps.index("ansible.builtin.debconf") < steps.index("ansible.builtin.apt")
    assert block["block"][-1]["ansible.builtin.file"] == {"path": mark, "state": "absent"}


def _locked(path: Path) -> dict[str, tuple[str, str]]:
    """Version and hashes by name."""
    found = re.findall(r"(?m)^([a-z0-9-]+)==(\S+)[^\n]*\n((?: .*\n)*)", path.read_text())
    return {name: (version, hashes) for name, version, hashes in found}


def test_what_the_play_installs_is_what_was_tested() -> None:
    tested, installed = (
        _locked(ROOT / "requirements.lock"),
        _locked(ANSIBLE / "roles/postmask_mx/files/requirements.lock"),
    )
    assert installed.items() <= tested.items()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^\w-]", needs)[0].lower() for needs in needed} | {"setuptools"}
    assert names <= installed.keys()


def test_a_mail_exchanger_on_the_database_s_own_host_is_let_in() -> None:
    """Debian has a host's own name in /etc/hosts by 127.0.1.1: what goes there comes from 127.0.0.1."""
    template = (ANSIBLE / "roles/postmask_db/templates/pg_hba.conf.j2").read_text()
    lines = (
        jinja2.Environment(trim_blocks=True)
        .from_string(template)
        .render(
            postmask_db_name="postmask",
            postmask_db_owner="postmask",
            postmask_db_node="postmask_node",
            postmask_db_nodes=["192.0.2.11"],
        )
    )
    let_in = [line.split() for line in lines.splitlines() if '"postmask_node"' in line]
    assert [words[3] for words in let_in] == ["127.0.0.1/32", "::1/128", "192.0.2.11/32"]
