"""The alternation of our domains."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask_postfix.domains import NOTHING, alternations, names, parameters, pattern
from postmask_postfix.settings import DOMAINS

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(
    lambda text: "xn--" not in text
)
domain = st.lists(label, min_size=2, max_size=4).map(".".join)


def test_a_domain_matches_itself_and_nothing_like_it():
    assert re.fullmatch(pattern("alias.test"), "alias.test")
    assert not re.fullmatch(pattern("alias.test"), "aliasxtest")


def test_an_internationalised_domain_is_matched_in_both_forms():
    assert pattern("xn--bcher-kva.test") == r"xn--bcher-kva\.test|bücher\.test"


@pytest.mark.parametrize(
    "name",
    ["", "Alias.test", "bücher.test", "alias.test.", "-a.test", "a-.test", "a..test", "a b.test",
     "a.test|b.test", "a.test)$/ x} {/.*/", "$mydomain.test", "a" * 64 + ".test",
     ".".join(["a" * 60] * 5)],
)  # fmt: skip
def test_what_is_no_domain_name_is_refused(name):
    with pytest.raises(ValueError, match="domain name"):
        pattern(name)


@pytest.mark.parametrize("name", ["xn--a.test", "xn--ls8h.la"])
def test_a_name_without_a_valid_international_form_is_matched_as_it_is(name):
    assert pattern(name) == name.replace(".", r"\.")


@pytest.mark.parametrize("name", ["test", "a_b.test", "ab--cd.test", "1.test"])
def test_names_that_are_odd_but_possible(name):
    assert re.fullmatch(pattern(name), name)


def test_no_domain_at_all_matches_nothing():
    assert alternations([]) == (NOTHING,)
    assert not re.search(NOTHING, "x@alias.test")
    assert not re.search(NOTHING, "")


def test_order_and_repetition_do_not_matter():
    assert alternations(["b.test", "a.test", "b.test"]) == alternations(["a.test", "b.test"])


@given(st.sets(domain, min_size=1, max_size=40), st.integers(40, 300))
def test_the_parts_together_match_exactly_the_domains(ours, limit):
    parts = alternations(ours, limit)
    assert all(len(part) <= limit or "|" not in part for part in parts)
    for name in ours:
        assert sum(bool(re.fullmatch(part, name)) for part in parts) == 1
        assert not any(re.fullmatch(part, f"x{name}x") for part in parts if f"x{name}x" not in ours)
    assert names(parameters(parts)) == ours


def test_the_names_in_the_parameters_are_in_one_form():
    assert names(parameters(alternations(["xn--bcher-kva.test"]))) == {"xn--bcher-kva.test"}


def test_no_parameters_hold_no_names():
    assert names({}) == names({DOMAINS: NOTHING}) == frozenset()


def test_one_part_is_the_parameter_itself():
    assert parameters(("a",)) == {DOMAINS: "a"}


def test_several_parts_are_parameters_of_their_own():
    assert parameters(("a", "b")) == {
        "postmask_domains_1": "a",
        "postmask_domains_2": "b",
        DOMAINS: "${postmask_domains_1}|${postmask_domains_2}",
    }
