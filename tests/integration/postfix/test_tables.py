"""Tables asked with Postfix's own tool."""

from postmask_postfix import tables
from postmask_postfix.domains import alternations


def test_a_table_that_is_longer_than_an_argument_may_be(tmp_path):
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    names = [f"customer-number-{number:05d}.alias-domains.example" for number in range(4000)]
    ours = "|".join(alternations([*names, "host.alias.test"]))
    inner = r"{if !/@host[.]x{2,3}$$/} {/[.]below$$/ below} {endif}"
    table = rf"regexp:{{ {{/@({ours})$$/ ours}} {inner} }}"
    asked = [f"x@{names[0]}", f"x@{names[-1]}", "x@host.alias.test", "x@foreign.test", "x@host.xx", "a.below"]
    said = dict.fromkeys(asked[:3], "ours") | {"a.below": "below"}
    assert len(table) > 131_072
    assert tables.answers(tmp_path, table, asked) == said
    assert tables.known(tmp_path, f"static:rest, {table}", asked)["x@host.xx"] == "rest"
