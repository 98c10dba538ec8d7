"""JSON that others printed: what is no such thing is refused with a reason, and what is at the edge is not."""

import pytest
from l2wg_hooks.system import json_fields
from l2wg_hooks.system.json_fields import NAME_BYTES, Unfit


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a b", "a\tb", "a:b", "a\0b", "x" * (NAME_BYTES + 1), "\u00e4" * 8, "\ud800"])
def test_what_the_kernel_takes_for_no_interface(text):
    with pytest.raises(Unfit, match="no interface"):
        json_fields.name({"ifname": text}, "ifname", None)


@pytest.mark.parametrize("text", ["a", "...", "x" * NAME_BYTES, "\u00e4" * 7, "a#b", "\udcff"])
def test_what_it_takes_for_one(text):
    assert json_fields.name({"ifname": text}, "ifname", None) == text


def test_the_default_is_what_was_asked_for():
    assert json_fields.name({}, "ifname", "") == json_fields.name({"ifname": ""}, "ifname", "") == ""
    assert json_fields.name({"ifname": None}, "ifname") == json_fields.word({"ifname": None}, "ifname") == ""
    assert json_fields.number({}, "mtu", None) is None and json_fields.number({"mtu": 0}, "mtu") == 0


@pytest.mark.parametrize("value, fits", [(0, True), (7, True), (8, False), (-1, False), (True, False), (False, False), (1.0, False), ("1", False)])
def test_a_number_has_two_ends(value, fits):
    if fits:
        assert json_fields.number({"n": value}, "n", most=7) == value
        return
    with pytest.raises(Unfit, match="not a number from 0 to 7"):
        json_fields.number({"n": value}, "n", most=7)


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"a": 1}, 2]', "1", '"x"', "null"])
def test_a_table_is_a_list_of_objects(text):
    with pytest.raises(Unfit, match="not a list of objects"):
        json_fields.table(text)


def test_empty_records_are_left_out():
    assert json_fields.table('[{}, {"a": 1}, {}]') == [{"a": 1}] and json_fields.table("") == []


def test_rows_by_pieces_of_any_size():
    text = '[ {"a": [1, {"b": "]}"}]},\n {}, {"c": 2} ]'
    for size in range(1, len(text) + 1):
        found = []
        rows = json_fields.Rows(found.append)
        for at in range(0, len(text), size):
            assert not at or not rows.ended()
            rows.take(text[at : at + size])
        assert rows.ended() and found == [{"a": [1, {"b": "]}"}]}, {"c": 2}]


@pytest.mark.parametrize("text", ['{"a": 1}', '[] {"a": 1}', "[[]]", "[1]", "[] []", "x"])
def test_rows_of_something_else(text):
    with pytest.raises(Unfit):
        json_fields.Rows(lambda row: None).take(text)


def test_one_row_is_not_waited_for_without_end():
    rows = json_fields.Rows(lambda row: None)
    rows.take('[{"a": "' + "x" * (json_fields.Rows.LONGEST - 100))
    assert not rows.ended()
    with pytest.raises(Unfit):
        rows.take("x" * 200)
