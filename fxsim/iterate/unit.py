"""Unit: an iteration as data, made from a step function, and everything that is derived from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fxsim.formats import Format, Overflow
from fxsim.graph import Graph
from fxsim.integers import IntArray, exact
from fxsim.iterate.loop import Loop, Plan, build_loop, map_graph, needs_residual, unrolled_graph
from fxsim.iterate.schedules import Schedule, parallel
from fxsim.iterate.stops import Stop, count, unchanged
from fxsim.iterate.updates import TwoStep, Update, increment_trunc
from fxsim.types import TensorType

MOST_STEPS = 1 << 32


@dataclass(frozen=True, eq=False)
class Unit:
    """x <- Q(T(x)) from a start, until a stop holds or `cap` sweeps are done.

    map         graph of (states, parameters) -> exact targets T(x), and the residual if there is one
    loop        the controlled step: sweep by `schedule` and `update`, stop by `stops` or `cap`
    state       names of the state tensors; formats, their formats (which saturate)
    parameters  names of what is held during a solve
    start       raw states where a problem brings none
    proofs      what the certificate may use and the graph cannot show, checked before it is believed

    Two units are equal if their loops are.
    """

    name: str
    state: tuple[str, ...]
    formats: tuple[Format, ...]
    parameters: tuple[str, ...]
    map: Graph
    loop: Loop
    update: Update
    stops: tuple[Stop, ...]
    schedule: Schedule
    cap: int
    start: tuple[IntArray, ...]
    proofs: tuple[Any, ...] = ()
    plan: Plan | None = field(repr=False, default=None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unit) and (self.loop, self.start, self.proofs, self.datapath) == (
            other.loop,
            other.start,
            other.proofs,
            other.datapath,
        )

    def __hash__(self) -> int:
        return hash((self.loop, self.start))

    def __str__(self) -> str:
        states = ", ".join(
            f"{n}{list(node.type.shape)} {f}"
            for n, node, f in zip(self.state, self.loop.graph.inputs, self.formats, strict=False)
        )
        stops = ", ".join(map(str, self.stops))
        return f"Unit {self.name}: {states}; {self.schedule.kind}, {self.update}, {stops}, cap {self.cap}"

    @cached_property
    def datapath(self) -> Loop:
        """The loop as hardware runs it, clock by clock: `loop` itself unless the schedule is folded."""
        if not self.schedule.folded:
            return self.loop
        from fxsim.iterate.fold import fold

        assert self.plan is not None  # a unit that was loaded has its datapath
        made: Loop = fold(self.plan, f"{self.name}_folded")
        return made

    @cached_property
    def single(self) -> Any:
        """The loop as instructions for one problem at a time; None without Numba, or where they do not do."""
        try:
            from fxsim.iterate.single import single
        except ImportError:
            return None
        return single(self.loop)

    def pipeline(self, sweeps: int | None = None) -> Graph:
        """A graph of (states, parameters) -> states after so many sweeps, in space, by default those of
        `unrolled(K)`: without loop and stop, for hardware that takes a problem every clock."""
        number = self.schedule.unroll if sweeps is None else sweeps
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"sweeps must be an integer of at least 1, not {sweeps!r}")
        if self.plan is not None:
            return unrolled_graph(self.plan, self.name, number)
        stored: Graph | None = self.__dict__.get("_stored_pipeline")
        if stored is None or number != self.schedule.unroll:
            raise ValueError(f"a unit that was loaded has no step function to lay out {number} sweeps of")
        return stored

    def capped(self, cap: int) -> Unit:
        """The same unit with another cap. ValueError for one that was loaded, or that is unrolled."""
        if self.plan is None or self.schedule.unroll:
            raise ValueError(f"unit {self.name!r} must have its step function and a loop to be given a cap")
        plan = replace(self.plan, cap=_cap(cap))
        return replace(self, loop=build_loop(plan, self.name), cap=plan.cap, plan=plan)

    def save(self, path: Any) -> None:
        """Writes the unit to one file; `fxsim.iterate.load` reads it."""
        from fxsim.iterate.storage import save

        save(self, path)

    def certify(self) -> Any:
        """What is proven of this unit: see `fxsim.iterate.Certificate`."""
        from fxsim.iterate.certify import certify

        return certify(self)

    def solve(
        self, start: Any = None, *, certified: bool = True, history: bool = False, **parameters: Any
    ) -> Any:
        """Solves problems given in real values; see `fxsim.iterate.driver.solve`."""
        from fxsim.iterate.driver import solve

        return solve(self, start, parameters, certified=certified, history=history)

    def solve_raw(
        self, start: Any = None, *, certified: bool = True, history: bool = False, **parameters: Any
    ) -> Any:
        """Solves problems given in raw integers; see `fxsim.iterate.driver.solve_raw`."""
        from fxsim.iterate.driver import solve_raw

        return solve_raw(self, start, parameters, certified=certified, history=history)


def unit(
    step: Callable[..., Any],
    state: Mapping[str, tuple[Format, Any]],
    parameters: Mapping[str, tuple[Format | TensorType, Any]] | None = None,
    *,
    update: Update | None = None,
    stop: Stop | Sequence[Stop] | None = None,
    schedule: Schedule | None = None,
    cap: int = 1000,
    start: Any = 0,
    residual: Callable[..., Any] | None = None,
    proofs: Iterable[Any] = (),
    name: str | None = None,
) -> Unit:
    """The unit that iterates x <- Q(T(x)).

    step        step(*states, *parameters) -> the exact target T(x), a tensor per state, traced as in
                `fxsim.trace`: nothing is lost but where it casts. With a schedule of groups it is called once
                per group; a step that takes the keyword `only` is given the flat indices of the group and
                returns these components only.
    state       name -> (Format, shape). The format's overflow is SAT or SAT_SYM: a state that wraps voids
                every theorem, and is refused unless no step can leave the format
    parameters  name -> (Format, shape), or (TensorType, None): what is held while one problem is solved
    update      default `increment_trunc()`;  stop  default `unchanged()`, one stop or several, of which the
                first that holds gives the status;  schedule  default `parallel()`
    cap         most sweeps of a solve, after which the status is "cap"
    start       raw start of problems that bring none: a number, an array, or {name: array}
    residual    residual(*states, *parameters) -> a tensor, for `stop=residual(tolerance)`

    Raises TypeError or ValueError that names the argument, what it must be and what it was.
    """
    if not callable(step):
        raise TypeError(f"step must be a function of the state tensors, not {step!r}")
    label = name or (step.__name__ if step.__name__.isidentifier() else "unit")
    update = increment_trunc() if update is None else update
    if not isinstance(update, Update):
        raise TypeError(f"update must be an update such as increment_trunc(), not {update!r}")
    stops = _stops(stop)
    schedule = parallel() if schedule is None else schedule
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a schedule such as parallel(), not {schedule!r}")
    cap = _cap(cap)
    if schedule.unroll and stops != (count(schedule.unroll),):
        raise ValueError(
            f"stop must be count({schedule.unroll}) for unrolled({schedule.unroll}), not {stops}"
        )
    states = _states(state, schedule, update)
    held = _parameters(parameters or {}, {n for n, *_ in states})
    if needs_residual(stops) and residual is None:
        raise ValueError("residual must be a function for a stop by residual, not None")
    plan = Plan(step, residual, states, held, update, stops, schedule, cap, _takes_only(step))
    graph = map_graph(plan, label)
    _check_overflow(plan, graph)
    return Unit(
        label, tuple(n for n, *_ in states), tuple(f for _, f, _ in states), tuple(n for n, _ in held),
        graph, build_loop(plan, label), update, stops, schedule, cap, starts(plan.state, start),
        tuple(proofs), plan,
    )  # fmt: skip


def _cap(value: Any) -> int:
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, (int, np.integer))
        or not 1 <= value < MOST_STEPS
    ):
        raise ValueError(f"cap must be an integer in 1..{MOST_STEPS - 1}, not {value!r}")
    return int(value)


def starts(state: Sequence[tuple[str, Format, tuple[int, ...]]], start: Any) -> tuple[IntArray, ...]:
    """One raw array per state tensor, checked to lie in its format."""
    given = start if isinstance(start, Mapping) else dict.fromkeys((n for n, *_ in state), start)
    unknown = set(given) - {n for n, *_ in state}
    if unknown:
        raise ValueError(f"start must name states among {[n for n, *_ in state]}, not {sorted(unknown)}")
    found = []
    for name, fmt, shape in state:
        try:
            raw = np.broadcast_to(exact(given.get(name, 0)), shape)
        except ValueError:
            raise ValueError(
                f"start of state {name!r} must have shape {shape}, not {np.shape(given[name])}"
            ) from None
        bad = [int(v) for v in raw.ravel() if not fmt.lo <= v <= fmt.hi]
        if bad:
            raise ValueError(f"start of state {name!r} must lie in raw {fmt.lo}..{fmt.hi}, not {bad[0]}")
        found.append(IntArray(raw))
    return tuple(found)


def _stops(stop: Stop | Sequence[Stop] | None) -> tuple[Stop, ...]:
    if stop is None:
        return (unchanged(),)
    listed = tuple(stop) if isinstance(stop, (tuple, list)) else (stop,)
    for s in listed:
        if not isinstance(s, Stop):
            raise TypeError(f"stop must be a stop such as unchanged(), or several, not {s!r}")
    return listed


def _states(
    state: Any, schedule: Schedule, update: Update
) -> tuple[tuple[str, Format, tuple[int, ...]], ...]:
    if not isinstance(state, Mapping) or not state:
        raise TypeError(f"state must map at least one name to (Format, shape), not {state!r}")
    found = []
    for name, given in state.items():
        if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[0], Format):
            raise TypeError(f"state {name!r} must be given as (Format, shape), not {given!r}")
        fmt, shape = given
        dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(d) for d in shape)
        if 0 in dims:
            raise ValueError(f"state {name!r} must have at least one element, not shape {dims}")
        if fmt.overflow not in (Overflow.SAT, Overflow.SAT_SYM, Overflow.WRAP):
            raise ValueError(
                f"state {name!r} must saturate (SAT or SAT_SYM), not {fmt.overflow}: it voids every theorem"
            )
        found.append((name, fmt, dims))
    if not schedule.whole and len(found) > 1:
        raise ValueError(f"a {schedule.kind} schedule must have one state tensor, not {len(found)}")
    if not schedule.whole:
        schedule.of(int(np.prod(found[0][2])))
        if isinstance(update, TwoStep):
            raise ValueError(f"two_step must have a parallel schedule, not {schedule.kind}")
    return tuple(found)


def _parameters(parameters: Any, taken: set[str]) -> tuple[tuple[str, TensorType], ...]:
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must map names to (Format, shape), not {parameters!r}")
    found = []
    for name, given in parameters.items():
        if name in taken or name in ("start", "certified", "history", "steps", "status"):
            raise ValueError(f"parameter {name!r} must have a name of its own")
        if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[0], (Format, TensorType)):
            raise TypeError(
                f"parameter {name!r} must be given as (Format, shape) or (TensorType, None), not {given!r}"
            )
        fmt, shape = given
        if isinstance(fmt, Format):
            dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(d) for d in shape)
            found.append((name, TensorType.of(fmt, dims)))
        else:
            found.append((name, fmt))
    return tuple(found)


def _takes_only(step: Callable[..., Any]) -> bool:
    try:
        return "only" in inspect.signature(step).parameters
    except (TypeError, ValueError):
        return False


def _check_overflow(plan: Plan, graph: Graph) -> None:
    """A state may wrap only if no target can leave its format."""
    for (name, fmt, _), target in zip(plan.state, graph.outputs, strict=False):
        if fmt.overflow is not Overflow.WRAP:
            continue
        t = target.type
        lo, hi = t.bounds
        shift = t.frac - fmt.frac
        low = int(lo) >> shift if shift >= 0 else int(lo) << -shift
        high = -(-int(hi) >> shift) if shift >= 0 else int(hi) << -shift
        if low < fmt.lo or high > fmt.hi or plan.update != increment_trunc():
            raise ValueError(
                f"state {name!r} must saturate, not wrap: its target reaches raw {low}..{high}, and {fmt} "
                f"holds {fmt.lo}..{fmt.hi}; give it overflow='SAT'"
            )
