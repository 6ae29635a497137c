"""Tables, single lines and JSON: what people and programs get to see."""

from __future__ import annotations

import json

import pytest

from postmask.cli.output import Column, Output, align, moment

EVIL = "Bob\x1b[2J\nwas \u202ehere"


def test_table_is_aligned_by_terminal_width() -> None:
    lines = align([["NAME", "N"], ["日本", "1"], ["abc", "22"]])
    assert lines == ["NAME  N", "日本  1", "abc   22"]


def test_combining_characters_take_no_room() -> None:
    assert align([["e\u0301", "x"], ["ab", "y"]]) == ["e\u0301   x", "ab  y"]


def test_nothing_from_mail_reaches_the_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.table(
        [{"name": EVIL, "list": [EVIL]}], [Column("name", "NAME"), Column("list", "LIST")], empty="none"
    )
    output.record({"name": EVIL, "list": [EVIL], "map": {"x": EVIL}})
    output.say(EVIL)
    output.copy(EVIL)
    output.warn(EVIL)
    shown = "".join(capsys.readouterr())
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.count("\\x1b[2J\\nwas") == 8


def test_json_is_escaped_too(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.json = True
    output.record({"name": EVIL + "\x7f\x9b"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert not any((ord(character) < 0x20 and character != "\n") or character == "\x7f" for character in text)
    assert json.loads(text) == {"name": EVIL + "\x7f\x9b"}


def test_json_holds_one_document_and_no_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.json = True
    output.say("for people")
    output.copy("to copy")
    output.table([{"a": 1}, {"a": None}], [Column("a", "A")], empty="none")
    assert json.loads(capsys.readouterr().out) == [{"a": 1}, {"a": None}]


def test_an_empty_list_is_said_in_words_or_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.table([], [Column("a", "A")], empty="there are no aliases")
    assert capsys.readouterr().out == "there are no aliases\n"
    output.json = True
    output.table([], [Column("a", "A")], empty="there are no aliases")
    assert json.loads(capsys.readouterr().out) == []


def test_record_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Output().record(
        {
            "address": "a@b.test",
            "created": 0,
            "paused_at": None,
            "allow_spf": True,
            "mailboxes": ["x@y.z", "q@r.s"],
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "address    a@b.test",
        "created    1970-01-01 00:00:00Z",
        "paused at  -",
        "allow spf  yes",
        "mailboxes  x@y.z",
        "           q@r.s",
    ]


def test_a_line_to_copy_is_never_wrapped_or_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Output().copy("k" * 3000)
    assert capsys.readouterr().out == "k" * 3000 + "\n"


def test_a_line_to_copy_is_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = "\teol=\\r\\n {/^5(\\.[0-9]+ .*)$$/ 4$$1}"
    Output().copy(line)
    assert capsys.readouterr().out == f"{line}\n"


def test_moment() -> None:
    assert moment(1_800_000_000.9) == "2027-01-15 08:00:00Z"
