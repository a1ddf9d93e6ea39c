"""Solve problems with a unit of the library, or with one of yours: states, sweeps, status, certificate.

UNIT is a name that --list prints, or MODULE:NAME, a Unit or an Example that importing MODULE defines.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim.cli.arguments import file_name, positive
from fxsim.cli.console import Console
from fxsim.cli.data import read_arrays
from fxsim.cli.output import check_file
from fxsim.files import atomic_path

if TYPE_CHECKING:
    from fxsim.iterate.example import Example
    from fxsim.iterate.solution import Solution
    from fxsim.iterate.unit import Unit

PICTURES = (".svg", ".png", ".pdf")


def add_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("unit", metavar="UNIT", nargs="?", help="unit of the library, or MODULE:NAME")
    p.add_argument("--list", action="store_true", help="print the units of the library and what they solve")
    p.add_argument(
        "--data", metavar="FILE", type=file_name(".npz"),
        help="problems: an array per parameter, and per state that is to start elsewhere, by name; "
        "default: the unit's own example",
    )  # fmt: skip
    p.add_argument("--raw", action="store_true", help="data and results are raw integers, not real values")
    p.add_argument("--rows", type=positive, metavar="N", help="the first N problems only")
    p.add_argument(
        "--unchecked", action="store_true",
        help="solve also where nothing proves that the loop stops; the cap ends it",
    )  # fmt: skip
    p.add_argument(
        "-o", "--output", metavar="FILE", type=file_name(".npz"), help="write states, steps and status here"
    )
    p.add_argument(
        "--certificate", metavar="FILE", type=file_name(".md", ".json"), help="write what is proven here"
    )
    p.add_argument("--plot", metavar="FILE", type=file_name(*PICTURES), help="draw the error against sweeps")
    p.add_argument(
        "--cobweb", metavar="FILE", type=file_name(*PICTURES), help="draw the path of a scalar state"
    )


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    if arguments.list:
        return _listed(console)
    if arguments.unit is None:
        raise ValueError("UNIT must be given: a name that --list prints, or MODULE:NAME")
    for path in (arguments.output, arguments.certificate, arguments.plot, arguments.cobweb):
        check_file(path)
    unit, example = find(arguments.unit)
    start, problems, raw = _problems(unit, example, arguments)
    with console.stage("certify"):
        certificate = unit.certify()
    drawn = bool(arguments.plot or arguments.cobweb)
    with console.stage("solve") as stage:
        how = unit.solve_raw if raw else unit.solve
        found: Solution = how(start, certified=not arguments.unchecked, history=drawn, **problems)
    named = {n: found.raws[k] if arguments.raw else _values(found, k) for k, n in enumerate(unit.state)}
    result = {**named, "steps": np.atleast_1d(found.steps), "status": np.atleast_1d(found.status).astype(str)}
    if arguments.output:
        with atomic_path(arguments.output) as temporary, temporary.open("wb") as f:
            np.savez_compressed(f, **result)  # type: ignore[arg-type]
    if arguments.certificate:
        text = certificate.json() if arguments.certificate.endswith(".json") else certificate.page()
        with atomic_path(arguments.certificate) as temporary:
            temporary.write_text(text, encoding="utf-8")
    _draw(unit, example if arguments.data is None else None, found, problems, certificate, arguments)
    converged = np.atleast_1d(found.converged)
    console.data |= {
        "unit": unit.name, "problems": len(converged), "converged": int(converged.sum()),
        "seconds": stage["seconds"], "steps": result["steps"], "status": result["status"],
        "terminates_by": certificate.terminates_by, "output": arguments.output,
        "states": None if arguments.output else named,
    }  # fmt: skip
    console.line(str(unit))
    console.line(certificate.reason)
    console.line(f"{len(converged)} problems: {found.summary()}")
    for name, values in named.items():
        console.line(
            f"{name}: shape {values.shape}" + (f", in {arguments.output}" if arguments.output else "")
        )
        if not arguments.output:
            console.line(str(values))
    return bool(converged.all())


def find(text: str) -> tuple[Unit, Example | None]:
    """The unit that UNIT names, and its example if it has one."""
    from fxsim.iterate import Example, Unit, zoo

    if ":" not in text:
        made: Example = zoo.example(text)
        return made.unit, made
    module, _, name = text.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = getattr(import_module(module), name)
    except ModuleNotFoundError as e:
        raise ValueError(f"module of {text!r} cannot be imported: {e}") from None
    except AttributeError:
        raise ValueError(f"module {module!r} must define {name!r}") from None
    finally:
        sys.path.pop(0)
    if callable(found):
        found = found()
    if isinstance(found, Example):
        return found.unit, found
    if isinstance(found, Unit):
        return found, None
    raise TypeError(f"{text!r} must be a Unit, an Example, or a function that gives one, not {found!r}")


def _problems(unit: Unit, example: Example | None, arguments: argparse.Namespace) -> tuple[Any, Any, bool]:
    """(start, parameters, whether they are raw)."""
    if arguments.data is None:
        if example is None:
            if unit.parameters:
                raise ValueError(f"--data must be given for {unit.name}, which has no example")
            return None, {}, True
        start, problems = example.start, dict(example.problems)
    else:
        problems = read_arrays(arguments.data)
        own = {n: problems.pop(n) for n in unit.state if n in problems}
        start = own or None
    if arguments.rows:
        problems = {n: _first(unit, n, a, arguments.rows) for n, a in problems.items()}
        if isinstance(start, dict):
            start = {n: _first(unit, n, a, arguments.rows) for n, a in start.items()}
        elif start is not None:
            start = _first(unit, unit.state[0], start, arguments.rows)
    return start, problems, arguments.raw or arguments.data is None


def _first(unit: Unit, name: str, values: Any, rows: int) -> Any:
    """The first rows of an array, whole if it has none."""
    ranks = {n.name: n.type.ndim for n in unit.map.inputs}
    return np.asarray(values)[:rows] if np.ndim(values) > ranks.get(name, 0) else values


def _values(found: Solution, k: int) -> Any:
    values = found.x
    return values[found.names[k]] if isinstance(values, dict) else values


def _draw(
    unit: Unit, example: Example | None, found: Solution, problems: dict[str, Any], certificate: Any,
    arguments: argparse.Namespace,
) -> None:  # fmt: skip
    from fxsim.iterate import plot

    if arguments.plot:
        reference = None
        if example is not None and example.reference is not None:
            reference = example.reference()[: arguments.rows]
        plot.convergence(arguments.plot, unit, found, reference, certificate.radius)
    if arguments.cobweb:
        first = {k: _first(unit, k, v, 1) for k, v in problems.items()}
        held = {k: np.asarray(v).reshape(-1)[0] if np.size(v) == 1 else v for k, v in first.items()}
        plot.cobweb(arguments.cobweb, unit, found, **held)


def _listed(console: Console) -> bool:
    from fxsim.iterate import zoo

    rows = {name: (zoo.about(name)) for name in zoo.names()}
    console.data["units"] = rows
    width = max(map(len, rows), default=0)
    for name, text in rows.items():
        console.line(f"{name:{width}}  {text}")
    return True
