"""Greedy common-subexpression elimination: the most frequent two-term sum becomes a wire, again and again.

A term is a signed, shifted wire in a column; a column is the sum of its terms, first its canonical signed
digits. For wires a, b the sum a +- (b << d) becomes a wire n, and each match in a column becomes one term n.

Matches are counted over all columns at once: per wire, plus and minus are big integers with one field of bits
a column, bit i set where the column has the term +-(wire << i). Where a + (b << d) matches, a bit is set in
plus[a] & (plus[b] >> d) | minus[a] & (minus[b] >> d). The counts of existing pairs only fall, so pairs are
filed by an old count and counted again when its turn comes, the highest count first.

Depth: a column meets depth D if and only if sum(2**depth(term)) <= 2**D over its terms (Kraft), so a match
may join wires of unequal depth as long as its column has that much room left.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict

import numpy as np

from .problem import Interval, Problem
from .result import Adder, AdderGraph, Output, interval_width

# 2**64 over the golden ratio: multiplying by it spreads neighbouring keys (Fibonacci hashing).
_GOLDEN = 0x9E3779B97F4A7C15

_WIRE_BITS = 24

Match = tuple[int, int, int]  # column, shift of wire a, sign of wire a


def best_graph(problem: Problem, passes: int = 1, seed: int = 0) -> AdderGraph:
    """The cheapest graph under the objective of several greedy passes, each with ties of its own.

    Every other pass prefers narrow sums; "bits" takes at least two passes, so it has tried both.
    """
    passes = max(passes, 2) if problem.objective == "bits" else passes
    graphs = [Greedy(problem, seed + k // 2, narrow=k % 2 == 1).run() for k in range(passes)]
    return min(graphs, key=lambda graph: (getattr(graph, problem.objective), graph.depth))


class Greedy:
    """One pass over a problem. Of equal counts the newest wires go first, then `seed` decides.

    Newest first grows one subexpression before it starts another: mostly fewer adders than random ties.
    `narrow` puts the narrowest sum before that.
    """

    def __init__(self, problem: Problem, seed: int = 0, narrow: bool = False) -> None:
        self.problem = problem
        self.narrow = narrow
        self.salt = (2 * seed + 1) * _GOLDEN
        self.span = max((shift for column in problem.digits for _, shift, _ in column), default=0) + 1
        # A field shifted by less than the span must not reach the used half of its neighbour.
        self.field = 2 * self.span
        self.wire_at = (2 * self.span).bit_length() + 1
        self.plus = [0] * problem.n_in
        self.minus = [0] * problem.n_in
        self.depth = [0] * problem.n_in
        self.extent: list[Interval] = list(problem.in_intervals)
        self.nodes: dict[Adder, int] = {}
        for c, column in enumerate(problem.digits):
            for wire, shift, sign in column:
                (self.plus if sign > 0 else self.minus)[wire] |= 1 << (c * self.field + shift)
        self.columns = [{self._code(*digit) for digit in column} for column in problem.digits]
        # A column that has a positive term keeps one, for else it would need a negator; -1: it never had one.
        self.positives = [sum(sign > 0 for *_, sign in column) or -1 for column in problem.digits]
        self.last_positive = self._mask(self.positives, 1, 1)
        self.limit = problem.max_depth
        self.room = [0 if self.limit is None else (1 << self.limit) - load for load in problem.loads]
        self.roomy: dict[int, int] = {}
        self.level = 0
        self.heap: list[tuple[int, int]] = []
        self.waiting: defaultdict[int, list[int]] = defaultdict(list)
        self._count_digits()

    def run(self) -> AdderGraph:
        for level in range(max(self.waiting, default=0), 1, -1):
            self.level = level
            for key in self.waiting.pop(level, ()):
                self._file(self._count(*self._pair(key)), key)
            while self.heap:
                _, key = heapq.heappop(self.heap)
                pair = self._pair(key)
                count = self._count(*pair)
                if count >= level:
                    matches, flip = self._matches(*pair)
                    count = len(matches)
                    if count >= level:
                        self._replace(*pair, matches, flip)
                        # What was left to keep a positive term may be worth the wire of the other sign.
                        count = self._count(*pair)
                self._file(count, key)
        return self._sums()

    def _file(self, count: int, key: int) -> None:
        """Puts a pair where it is looked at again: on the heap of this level or waiting for its own."""
        if count >= self.level:
            heapq.heappush(self.heap, (self._tie(key), key))
        elif count >= 2:
            self.waiting[count].append(key)

    def _tie(self, key: int) -> int:
        """Of equal counts the least goes first: the newest wires, then a hash; first of all `narrow`."""
        a, b, d, opposite = self._pair(key)
        tie = (((key ^ self.salt) * _GOLDEN >> 40) & 0xFFFF) - (a + b << 16)
        if self.narrow:
            base = max(-d, 0)
            lo, hi = _extent(Adder(a, b, base, base + d, 1, -1 if opposite else 1), self.extent)
            tie += interval_width(lo, hi) - abs(d) << 64
        return tie

    # A term is coded so that the key of its pair with a newer term is one xor and one addition away.
    def _code(self, wire: int, shift: int, sign: int) -> int:
        return wire << self.wire_at | (self.span - shift) << 1 | (sign < 0)

    def _pair(self, key: int) -> tuple[int, int, int, int]:
        """key -> (a, b, d, opposite): the sum a + (b << d), a - (b << d) if opposite; b is the newer wire."""
        a = key >> self.wire_at
        d = (key >> 1 & (1 << self.wire_at - 1) - 1) - self.span
        return a & (1 << _WIRE_BITS) - 1, a >> _WIRE_BITS, d, key & 1

    def _mask(self, values: list[int], lo: int, hi: int | None = None) -> int:
        field = (1 << self.field) - 1
        columns = (c for c, v in enumerate(values) if v >= lo and (hi is None or v <= hi))
        return sum(field << c * self.field for c in columns)

    def _overlap(self, a: int, b: int, d: int, opposite: int) -> tuple[int, int]:
        """Bits where wire a stands positive, and negative, with a fitting b in the same column."""
        plus, minus = (self.minus[b], self.plus[b]) if opposite else (self.plus[b], self.minus[b])
        if d >= 0:
            return self.plus[a] & plus >> d, self.minus[a] & minus >> d
        return self.plus[a] & plus << -d, self.minus[a] & minus << -d

    def _cost(self, a: int, b: int) -> int:
        """What a match takes from its column's room, sum(2**depth) after less before; 0 for equal depths."""
        da, db = self.depth[a], self.depth[b]
        return (2 << max(da, db)) - (1 << da) - (1 << db)

    def _count(self, a: int, b: int, d: int, opposite: int) -> int:
        """Matches that can be replaced together, at most: exact but where one column holds several."""
        plus, minus = self._overlap(a, b, d, opposite)
        if self.limit is not None and self.depth[a] != self.depth[b]:
            cost = self._cost(a, b)
            roomy = self.roomy.get(cost)
            if roomy is None:
                roomy = self.roomy[cost] = self._mask(self.room, cost)
            plus, minus = plus & roomy, minus & roomy
        count = plus.bit_count() + minus.bit_count()
        if opposite and count >= 2:
            last = self.last_positive
            count -= min((plus & last).bit_count(), (minus & last).bit_count())
        return count

    def _matches(self, a: int, b: int, d: int, opposite: int) -> tuple[list[Match], bool]:
        """Matches that can be replaced together, and whether the wire is better b - a than a - b."""
        plus, minus = self._overlap(a, b, d, opposite)
        lost, kept = (plus & self.last_positive).bit_count(), (minus & self.last_positive).bit_count()
        flip = bool(opposite) and (kept, minus.bit_count()) > (lost, plus.bit_count())
        cost = 0 if self.limit is None else self._cost(a, b)
        room: dict[int, int] = {}
        positives: dict[int, int] = {}
        matches = []
        bits = plus | minus
        while bits:
            low = bits & -bits
            bits ^= low
            c, shift = divmod(low.bit_length() - 1, self.field)
            sign = 1 if plus & low else -1
            left = positives.get(c, self.positives[c]) + self._gain(sign, opposite, flip)
            if left == 0 and self.positives[c] > 0:
                continue
            if cost:
                rest = room.get(c, self.room[c]) - cost
                if rest < 0:
                    continue
                room[c] = rest
            positives[c] = left
            if a == b:
                bits &= ~(low << d)
            matches.append((c, shift, sign))
        return matches, flip

    @staticmethod
    def _gain(sign: int, opposite: int, flip: bool) -> int:
        """Change in a column's positive terms when a match becomes one term."""
        before = 1 if opposite else 1 + sign
        return ((-sign if flip else sign) > 0) - before

    def _replace(self, a: int, b: int, d: int, opposite: int, matches: list[Match], flip: bool) -> None:
        base = max(-d, 0)
        signs = (1, 1) if not opposite else (-1, 1) if flip else (1, -1)
        new = self._wire(Adder(a, b, base, base + d, *signs))
        cost = 0 if self.limit is None else self._cost(a, b)
        opposed = -1 if opposite else 1
        for c, shift, sign in matches:
            for wire, at, s in ((a, shift, sign), (b, shift + d, sign * opposed)):
                self.columns[c].remove(self._code(wire, at, s))
                (self.plus if s > 0 else self.minus)[wire] ^= 1 << (c * self.field + at)
            if self.positives[c] > 0:
                self.positives[c] += self._gain(sign, opposite, flip)
                if self.positives[c] == 1:
                    self.last_positive |= ((1 << self.field) - 1) << c * self.field
            if cost:
                self.room[c] -= cost
        for need in self.roomy if cost else ():
            self.roomy[need] = self._mask(self.room, need)
        counts: Counter[int] = Counter()
        for c, shift, sign in matches:
            at, s = shift - base, -sign if flip else sign
            column = self.columns[c]
            toggle, add = int(s < 0), (new << _WIRE_BITS + self.wire_at) + (at << 1)
            counts.update([(code ^ toggle) + add for code in column])
            column.add(self._code(new, at, s))
            (self.plus if s > 0 else self.minus)[new] |= 1 << (c * self.field + at)
        for key, count in counts.items():
            if count >= 2:
                self._file(count, key)

    def _wire(self, node: Adder) -> int:
        """The wire of a node, made if there is none yet."""
        wire = self.nodes.get(node)
        if wire is None:
            wire = self.nodes[node] = len(self.depth)
            self.plus.append(0)
            self.minus.append(0)
            self.depth.append(max(self.depth[node.a], self.depth[node.b]) + 1)
            self.extent.append(_extent(node, self.extent))
        return wire

    def _count_digits(self) -> None:
        """Files every pair of digits under its count; per shift d, two matrix products count all pairs."""
        p = self.problem
        sign = np.zeros((p.n_in, p.n_out, self.span), np.float32)
        for c, column in enumerate(p.digits):
            for wire, shift, s in column:
                sign[wire, c, shift] = s
        for d in range(self.span):
            low = sign[:, :, : self.span - d].reshape(p.n_in, -1)
            high = sign[:, :, d:].reshape(p.n_in, -1)
            both, difference = np.abs(low) @ np.abs(high).T, low @ high.T
            for opposite, twice in enumerate((both + difference, both - difference)):
                a, b = np.nonzero((twice if d else np.triu(twice, 1)) >= 4)
                # In int64: a matrix that overflowed it would not fit in memory as `sign`.
                keys = (b << _WIRE_BITS | a) << self.wire_at | (d + self.span) << 1 | opposite
                counts = twice[a, b].astype(np.int64) // 2
                for count in np.unique(counts).tolist():
                    self.waiting[count] += keys[counts == count].tolist()

    def _sums(self) -> AdderGraph:
        outputs = tuple(self._sum(c) for c in range(self.problem.n_out))
        p = self.problem
        return AdderGraph(p.weights, p.frac, p.in_intervals, tuple(self.nodes), outputs)

    def _sum(self, c: int) -> Output:
        """Adds the terms of a column, least depth first (Huffman): as shallow as their Kraft sum allows."""
        terms = []
        for code in self.columns[c]:
            wire, shift = code >> self.wire_at, self.span - (code >> 1 & (1 << self.wire_at - 1) - 1)
            terms.append(self._term(wire, shift, -1 if code & 1 else 1))
        if not terms:
            return Output(None, 0, 1)
        if self.positives[c] < 0:
            terms.append((0, -1, -1, 0, 1))
        heapq.heapify(terms)
        while len(terms) > 1:
            first, second = heapq.heappop(terms), heapq.heappop(terms)
            if first[2] < 0:
                # 0 - t as t - 2t: the same width as a negator, and a node like any other.
                _, _, wire, shift, _ = second
                heapq.heappush(terms, self._term(self._wire(Adder(wire, wire, 0, 1, 1, -1)), shift, 1))
                continue
            (wire_a, shift_a, sign_a), (wire_b, shift_b, sign_b) = sorted((first[2:], second[2:]))
            base, sign = min(shift_a, shift_b), max(sign_a, sign_b)
            node = Adder(wire_a, wire_b, shift_a - base, shift_b - base, sign * sign_a, sign * sign_b)
            heapq.heappush(terms, self._term(self._wire(node), base, sign))
        _, _, wire, shift, sign = terms[0]
        return Output(wire, shift, sign)

    def _term(self, wire: int, shift: int, sign: int) -> tuple[int, int, int, int, int]:
        return self.depth[wire], interval_width(*self.extent[wire]) + shift, wire, shift, sign


def _extent(node: Adder, extent: list[Interval]) -> Interval:
    """An interval that holds the node: exact for independent operands, else a superset."""
    (la, ha), (lb, hb) = extent[node.a], extent[node.b]
    la, ha, lb, hb = la << node.shift_a, ha << node.shift_a, lb << node.shift_b, hb << node.shift_b
    if node.sign_a < 0:
        la, ha = -ha, -la
    if node.sign_b < 0:
        lb, hb = -hb, -lb
    return la + lb, ha + hb
