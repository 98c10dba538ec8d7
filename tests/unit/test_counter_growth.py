"""When counters last grew, as who looks now and then can tell."""

import json
import os

from l2wg_hooks.observe import counter_growth
from l2wg_hooks.observe.counter_growth import Note


def test_a_count_is_as_old_as_it_is_unchanged():
    notes = counter_growth.after({}, {"loop gretap1": 3}, {}, 100)
    assert notes == {"loop gretap1": Note(3, 100)}
    assert counter_growth.after(notes, {"loop gretap1": 3}, {}, 900) == notes
    assert counter_growth.after(notes, {"loop gretap1": 4}, {}, 900) == {"loop gretap1": Note(4, 900)}
    # Rules that were loaded anew count from 0 again; so does a clock after a boot.
    assert counter_growth.after(notes, {"loop gretap1": 1}, {}, 900)["loop gretap1"].since == 900
    assert counter_growth.after(notes, {"loop gretap1": 3}, {}, 50)["loop gretap1"].since == 50
    assert counter_growth.after(notes, {}, {}, 900) == {}


def asked(*looks, keepalive=None):
    """What is known of a peer after looks of (seconds, received, sent)."""
    notes = {}
    for now, received, sent in looks:
        notes = counter_growth.after(notes, {"p": received}, {"p": (sent, keepalive)}, now)
    return notes["p"]


def test_a_peer_that_was_sent_something_and_sends_nothing():
    note = asked((0, 500, 1000), (5, 500, 5000))
    assert note.asked == 5
    assert counter_growth.unanswered(note, 5 + counter_growth.ANSWER - 1) == 0 and counter_growth.unanswered(note, 5 + counter_growth.ANSWER) == counter_growth.ANSWER
    assert counter_growth.unanswered(asked((0, 500, 1000), (5, 500, 5000), (10, 600, 5000)), 1000) == 0, "it has answered"
    assert counter_growth.unanswered(asked((0, 500, 1000), (900, 500, 1000)), 1000) == 0, "nobody has asked"
    assert counter_growth.unanswered(None, 1000) == 0


def test_keepalives_want_no_answer():
    """Of 32 bytes each: 20 of them in 500 s."""
    assert not asked((0, 500, 1000), (500, 500, 1000 + 20 * 32), keepalive=25).asked
    assert asked((0, 500, 1000), (500, 500, 1000 + 20 * 32 + 256), keepalive=25).asked


def test_who_looks_leaves_a_note():
    assert counter_growth.look({"a": 1}, {}, 10) == {"a": Note(1, 10)}
    assert counter_growth.look({"b": 2}, {}, 20) == {"b": Note(2, 20)}
    assert counter_growth.look({"a": 1, "b": 2}, {}, 30) == {"a": Note(1, 10), "b": Note(2, 20)}
    # What nobody has asked for since yesterday goes.
    counter_growth.look({"c": 1}, {}, 90000)
    assert set(json.loads(open(counter_growth.NOTES).read())) == {"c"}


def test_what_is_no_note_of_ours_counts_as_none():
    for text in ("", "{", "[]", "7", '{"a": 7}', '{"a": ["x", 1]}', '{"a": [1, 2, 3, 4, 5]}', '{"a": []}', '{"a": null}'):
        with open(counter_growth.NOTES, "w") as file:
            file.write(text)
        assert counter_growth.look({"a": 1}, {}, 10) == {"a": Note(1, 10)}, text


def test_where_no_note_can_be_left_one_does_without(root):
    (root / "run").rmdir()
    assert counter_growth.look({"a": 1}, {}, 10) == {"a": Note(1, 10)}
    (root / "run").mkdir()
    os.mkdir(counter_growth.NOTES)
    assert counter_growth.look({"a": 1}, {}, 10) == {"a": Note(1, 10)}


def test_rates_are_averages_since_the_note_was_made():
    sent = {"p": (700, 25), "q": (50, None), "r": (5, None), "s": (9, None)}
    counts = {"p": 3000, "q": 10, "r": 100, "s": 1}
    notes = {"p": Note(1000, 10, 200), "q": Note(10, 10, 0), "r": Note(500, 10, 0), "t": Note(1, 1, 1)}
    found = counter_growth.rates(notes, counts, sent, 30)
    # An interface that was made anew counts from 0; of one that nobody has seen before, nothing is known.
    assert found == {"p": (100, 25), "q": (0, 2.5)}
    assert counter_growth.rates(notes, counts, sent, 10.5) == {}, "half a second"
    assert counter_growth.rates(notes, counts, sent, 5) == {}, "a boot between the two"


def test_rates_do_not_depend_on_looks_in_between():
    """A note that stays has what had been sent when it was made, not at the last look."""
    notes = counter_growth.after({}, {"p": 100}, {"p": (10, None)}, 0)
    for now, sent in ((5, 110), (10, 210)):
        assert counter_growth.rates(notes, {"p": 100}, {"p": (sent, None)}, now) == {"p": (0, 20)}
        notes = counter_growth.after(notes, {"p": 100}, {"p": (sent, None)}, now)
