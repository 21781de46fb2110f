# SPDX-License-Identifier: MIT
"""A linearizability checker for small histories, and the models of what is checked.

A history is a list of operations as clients saw them: when each was called, when
its answer came, and what it said. It is linearizable when all of them can be put
in one order that respects real time (an operation that ended before another
began comes first) and that a sequential object could have given.

The search is that of Wing and Gong with Lowe's memory of visited
configurations: walk the events in the order of time, try to place each pending
operation next, go back where none fits. An operation without an answer (its
client died) may have happened at any time after its call, or never.

Histories of different objects are checked one by one: linearizability is local
(Herlihy and Wing), so a product is linearizable when each part is.
"""

from collections import namedtuple

FOREVER = float("inf")

# `answer` None: the client never learnt one.
Operation = namedtuple("Operation", "client call end name argument answer")


class Failure(Exception):
    """No order explains the history."""


def operation(client, call, end, name, argument=None, answer=None):
    """One operation; `end` None: it never ended for the client."""
    return Operation(client, call, FOREVER if end is None else end, name, argument, answer)


def check(history, model, most=2_000_000):
    """Find an order for `history`, or raise Failure. Returns the order found.

    `model.initial` is a hashable state; `model.step(state, operation)` gives the
    states that the operation may lead to with its answer (none: it cannot have
    happened there). At most `most` configurations are looked at.
    """
    operations = sorted(history, key=lambda o: (o.call, o.end))
    count = len(operations)
    must = 0
    for i, o in enumerate(operations):
        if o.end != FOREVER:
            must |= 1 << i
    seen = set()
    stack = [(0, model.initial, None)]
    looked = 0
    longest = None
    while stack:
        done, state, trail = stack.pop()
        if (done, state) in seen:
            continue
        seen.add((done, state))
        looked += 1
        if looked > most:
            raise Failure("gave up after %d configurations of %d operations" % (most, count))
        if done & must == must:
            return unwind(trail)
        if longest is None or bin(done).count("1") > longest[0]:
            longest = (bin(done).count("1"), done, state)
        # Who was called before the first of the others ended may come next.
        first_end = min(o.end for i, o in enumerate(operations) if not done >> i & 1)
        for i in range(count - 1, -1, -1):
            o = operations[i]
            if done >> i & 1 or o.call > first_end:
                continue
            for after in model.step(state, o):
                stack.append((done | 1 << i, after, (o, trail)))
    _, done, state = longest
    left = [o for i, o in enumerate(operations) if not done >> i & 1][:6]
    raise Failure(
        "no order explains the history of %d operations; furthest state %r, then stuck before:\n  %s"
        % (count, state, "\n  ".join(map(str, left)))
    )


def unwind(trail):
    order = []
    while trail is not None:
        order.append(trail[0])
        trail = trail[1]
    return order[::-1]


class Lease:
    """One lease name. State: (last token, token held or 0).

    acquire -> token, or "refused" while another holds it; release(token) -> "ok"
    or "late" when it had ended already; ended(token): its holder died, which
    happens to the object at some time after it was seen to.
    """

    initial = (0, 0)

    @staticmethod
    def step(state, o):
        last, held = state
        if o.name == "acquire":
            if o.answer is None:  # never told: any larger token, which nobody else got
                return [(last, -1)] if held == 0 else []
            if o.answer == "refused":
                return [state] if held != 0 else []
            return [(o.answer, o.answer)] if held == 0 and o.answer > last else []
        if o.name == "release":
            if o.answer == "late":
                return [state] if held != o.argument else []
            return [(last, 0)] if held == o.argument else []
        if o.name == "ended":  # a holder that is gone; argument: its token, or -1: never told
            return [(last, 0)] if held == o.argument else [state]
        raise ValueError(o.name)


class Channel:
    """One two-phase channel. State: (last id, queue, in flight), of message ids in order.

    send -> m, an id larger than any before; receive -> m, or "empty"; ack(m) ->
    "ok" or "late"; nack(m) -> "ok"; returned(m): a delivery came back by itself
    (its receiver died, its time was up). What comes back takes its original place.
    """

    initial = (0, (), ())

    @staticmethod
    def step(state, o):
        last, queue, flight = state
        if o.name == "send":
            return [(o.answer, queue + (o.answer,), flight)] if o.answer > last else []
        if o.name == "receive":
            if o.answer is None:  # it may have taken the first one
                return [(last, queue[1:], Channel.put(flight, queue[0]))] if queue else []
            if o.answer == "empty":
                return [state] if not queue else []
            if queue and queue[0] == o.answer:
                return [(last, queue[1:], Channel.put(flight, o.answer))]
            return []
        if o.name in ("ack", "nack", "returned"):
            if o.argument not in flight:
                return [state] if o.answer == "late" or o.name == "returned" else []
            if o.answer == "late":
                return []
            left = tuple(m for m in flight if m != o.argument)
            if o.name == "ack":
                return [(last, queue, left)]
            return [(last, Channel.put(queue, o.argument), left)]
        raise ValueError(o.name)

    @staticmethod
    def put(queue, message):
        """In order of sending, which the ids have."""
        return tuple(sorted(queue + (message,)))


def self_test():
    """What must be accepted, and what must not."""

    def fails(history, model):
        try:
            check(history, model)
        except Failure:
            return
        raise AssertionError("accepted: %r" % (history,))

    op = operation
    check([op("a", 0, 1, "acquire", None, 1), op("b", 0, 5, "acquire", None, 2),
           op("a", 2, 3, "release", 1, "ok")], Lease)
    # Two hold it at once; a token that does not grow; refused though it was free.
    fails([op("a", 0, 1, "acquire", None, 1), op("b", 2, 3, "acquire", None, 2)], Lease)
    fails([op("a", 0, 1, "acquire", None, 2), op("a", 2, 3, "release", 2, "ok"),
           op("b", 4, 5, "acquire", None, 1)], Lease)
    fails([op("a", 0, 1, "acquire", None, "refused")], Lease)
    # The holder died: granted again.
    check([op("a", 0, 1, "acquire", None, 1), op("a", 2, None, "ended", 1),
           op("b", 3, 4, "acquire", None, 2)], Lease)
    check([op("a", 0, None, "acquire"), op("a", 0.5, None, "ended", -1),
           op("b", 3, 4, "acquire", None, 7)], Lease)

    sent = [op("a", 0, 1, "send", None, 1), op("a", 2, 3, "send", None, 2)]
    check(sent + [op("b", 0, 4, "receive", None, 1), op("b", 5, 6, "nack", 1, "ok"),
                  op("b", 7, 8, "receive", None, 1), op("b", 9, 10, "ack", 1, "ok"),
                  op("c", 9, 10, "receive", None, 2)], Channel)
    # Out of order; twice; lost; invented.
    fails(sent + [op("b", 4, 5, "receive", None, 2)], Channel)
    fails(sent[:1] + [op("b", 2, 3, "receive", None, 1), op("c", 4, 5, "receive", None, 1)], Channel)
    fails(sent[:1] + [op("b", 2, 3, "receive", None, "empty")], Channel)
    fails([op("b", 2, 3, "receive", None, 9)], Channel)
    # After a nack it comes back before the later one.
    fails(sent + [op("b", 4, 5, "receive", None, 1), op("b", 6, 7, "nack", 1, "ok"),
                  op("b", 8, 9, "receive", None, 2)], Channel)


if __name__ == "__main__":
    self_test()
    print("ok")
