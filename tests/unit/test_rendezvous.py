"""Two sites that change at the same moment: whatever gets lost, and whoever is ended, they do not end apart."""

import itertools
import random

import pytest
from l2wg_hooks.pairing import rendezvous
from l2wg_hooks.pairing.rendezvous import DONE, GO, KEPT, LOST, MET, NOBODY, OPEN, READY, RESTS, WAITS, Meeting, Message

A, B, OTHER = "a" * 16, "b" * 16, "c" * 16


def test_what_is_told_is_understood():
    for phase in (RESTS, WAITS, READY, GO, DONE, KEPT):
        message = Message(phase, A, B)
        assert rendezvous.decode(rendezvous.encode(message)) == message


@pytest.mark.parametrize(
    "data",
    [b"", b"l2wg-wall", b"l2wg-wall 2 1 %s %s" % (A.encode(), B.encode()), b"l2wg-wall 1 6 %s %s" % (A.encode(), B.encode()),
     b"l2wg-wall 1 1 %s %s\n" % (A.encode(), B.encode()), b"l2wg-wall 1 1 %s" % A.encode(), b"\xff" * 44,
     b"x" + rendezvous.encode(Message(GO, A, B))],
)  # fmt: skip
def test_anything_else_is_nothing(data):
    assert rendezvous.decode(data) is None


def test_an_attempt_begins_when_each_has_heard_of_the_other():
    here = Meeting(WAITS, A)
    assert not rendezvous.may_begin(here)
    assert not rendezvous.may_begin(here._replace(last=Message(WAITS, B)))
    assert rendezvous.wants_answer(here._replace(last=Message(WAITS, B)))
    assert not rendezvous.may_begin(here._replace(last=Message(WAITS, B, OTHER)))
    for phase, begins in ((RESTS, False), (WAITS, True), (READY, True), (GO, True), (DONE, False), (KEPT, True)):
        assert rendezvous.may_begin(here._replace(last=Message(phase, B, A))) == begins
    assert not rendezvous.may_begin(Meeting(RESTS, A, Message(WAITS, B, A)))


def test_they_meet_when_the_other_is_as_far():
    here = rendezvous.begun(Meeting(WAITS, A, Message(WAITS, B, A)))._replace(phase=GO)
    assert here.partner == B
    for phase, found in ((WAITS, OPEN), (READY, OPEN), (GO, MET), (DONE, MET), (KEPT, MET)):
        assert rendezvous.outcome(here._replace(last=Message(phase, B, A))) == found
    assert rendezvous.outcome(here._replace(last=Message(GO, B, NOBODY))) == OPEN, "it does not hear us"
    assert rendezvous.outcome(here._replace(last=Message(RESTS, OTHER, A))) == LOST, "it has gone back"
    assert rendezvous.outcome(here._replace(last=Message(KEPT, OTHER))) == MET, "it has kept it, and was started again"


def test_one_who_was_started_anew_takes_no_word_that_was_for_the_one_before():
    """It would go on alone, since the other one is about to go back."""
    there = rendezvous.begun(Meeting(WAITS, B, Message(WAITS, A, B)))._replace(phase=GO, last=Message(WAITS, OTHER, B))
    assert rendezvous.outcome(there) == LOST and there.message() == Message(GO, B, A)
    here = Meeting(WAITS, OTHER, there.message())
    assert not rendezvous.may_begin(here)
    assert rendezvous.outcome(rendezvous.begun(here)._replace(phase=GO)) == OPEN


def test_nobody_answers_for_ever():
    assert rendezvous.is_over(Meeting(KEPT, A, Message(KEPT, B, A)))
    assert not rendezvous.wants_answer(Meeting(KEPT, A, Message(KEPT, B, A)))
    assert not rendezvous.is_over(Meeting(KEPT, A, Message(KEPT, B, OTHER)))
    assert rendezvous.wants_answer(Meeting(KEPT, A, Message(WAITS, B, A)))


class Site:
    """One site as the waiter drives it, a step a tick; `walled` is on disk, all else goes when it is ended."""

    PATIENCE = {READY: 20, GO: 10, DONE: 20}

    def __init__(self, chance, names):
        self.chance, self.names, self.walled = chance, names, False
        self.start()

    def start(self):
        self.meeting, self.left, self.switched = Meeting(KEPT if self.walled else WAITS, next(self.names)), 0, self.walled

    def hear(self, message):
        self.meeting = self.meeting._replace(last=message)

    def tick(self):
        """What is sent now."""
        meeting = self.meeting
        if meeting.phase == RESTS:
            self.left -= 1
            if self.left <= 0:
                self.meeting = meeting._replace(phase=WAITS)
        elif meeting.phase == WAITS:
            if rendezvous.may_begin(meeting):
                self.meeting, self.left = rendezvous.begun(meeting)._replace(phase=READY), self.PATIENCE[READY]
        elif meeting.phase != KEPT:
            found, self.left = rendezvous.outcome(meeting), self.left - 1
            if found == MET:
                self.meeting, self.left = meeting._replace(phase=meeting.phase + 1), self.PATIENCE.get(meeting.phase + 1, 0)
                self.switched = self.meeting.phase >= DONE
                self.walled = self.meeting.phase == KEPT
            elif found == LOST or self.left <= 0:
                self.meeting, self.left, self.switched = Meeting(RESTS, next(self.names), meeting.last), self.chance.randrange(10, 40), False
        return self.meeting.message()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_lost_and_whoever_is_ended_they_do_not_end_apart(seed):
    """Half of all datagrams get lost, and either is ended at any moment; then both are let alone, and the wire works."""
    chance = random.Random(seed)
    names = (f"{number:016x}" for number in itertools.count(1))
    sites = [Site(chance, names), Site(chance, names)]
    for tick in range(2000):
        rough = tick < 300
        told = [site.tick() for site in sites]
        for site, message in zip(sites, reversed(told)):
            if not (rough and chance.random() < 0.5):
                site.hear(message)
        if rough and chance.random() < 0.02:
            chance.choice(sites).start()
    assert [site.meeting.phase for site in sites] == [KEPT, KEPT]


def test_without_the_other_nothing_is_ever_changed():
    chance = random.Random(1)
    site = Site(chance, (f"{number:016x}" for number in itertools.count(1)))
    for _ in range(500):
        site.tick()
        assert not site.switched
    # And with one who waits, and then is gone.
    site.hear(Message(WAITS, B, site.meeting.mine))
    for _ in range(500):
        site.tick()
        assert not site.switched
