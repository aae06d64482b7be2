"""PAO: `python pao_run.py PROBLEMS.json ROWS.jsonl` in an interpreter that has it.

The models are Pyomo models with a SubModel. `pao.pyomo.FA` solves them with its own settings, with CBC in place of
GLPK, the MIP solver that it names; a follower with integers, which FA does not take, goes to `pao.pyomo.PCCG`.
"""

from __future__ import annotations

from typing import Any

import pao.pyomo
import pyomo.environ as pe
from adapter import Refused, expression, main
from pao.pyomo.convert import convert_pyomo2MultilevelProblem

FUNCTIONS = {
    name: getattr(pe, name) for name in ("exp", "log", "sin", "cos", "tan", "sqrt", "asin", "acos", "atan")
} | {"abs": abs}


def solve(problem: dict[str, Any]) -> dict[str, Any]:
    integers = problem.get("integer_vars", [])
    solver = "pao.pyomo.PCCG" if set(integers) & set(problem["lower_vars"]) else "pao.pyomo.FA"
    try:
        model, variables = built(problem)
        convert_pyomo2MultilevelProblem(model)
    except Refused:
        raise
    except Exception as error:  # of Pyomo or of PAO, on a model that is outside their rules
        raise Refused(f"{type(error).__name__}: {error}") from error
    try:
        results = pao.pyomo.Solver(solver).solve(model, mip_solver="cbc")
    except AssertionError as error:  # by which a solver tells what it does not take
        raise Refused(str(error)) from error
    termination = results.solver.termination_condition
    status = getattr(termination, "name", str(termination))
    values = {name: variable.value for name, variable in variables.items()}
    row = {"status": status, "solved": status in ("optimal", "globallyOptimal"), "solver": solver}
    if any(values[name] is None for name in problem["lower_vars"]):
        return row
    F = pe.value(model.F, exception=False)
    return row | {
        "F": F,
        "x": {name: values[name] for name in problem.get("upper_vars", [])},
        "y": {name: values[name] for name in problem["lower_vars"]},
    }


def built(problem: dict[str, Any]) -> tuple[pe.ConcreteModel, dict[str, Any]]:
    """The Pyomo model, and its variables by name."""
    model = pe.ConcreteModel()
    variables: dict[str, Any] = {}

    def add_level(block: Any, names: list[str]) -> None:
        for name in names:
            kind = pe.Integers if name in problem.get("integer_vars", []) else pe.Reals
            limits = problem["bounds"].get(name) or (None, None)
            block.add_component(name, pe.Var(within=kind, bounds=tuple(limits)))
            variables[name] = block.component(name)

    add_level(model, problem.get("upper_vars", []))
    model.follower = pao.pyomo.SubModel(fixed=list(variables.values()))
    add_level(model.follower, problem["lower_vars"])
    for block, objective, groups in ((model, "F", "GH"), (model.follower, "f", "gh")):
        block.add_component(objective, pe.Objective(expr=expression(problem[objective], variables, FUNCTIONS)))
        for group in groups:
            rows = pe.ConstraintList()
            block.add_component(f"rows_{group}", rows)
            for text in problem.get(group, []):
                body = expression(text, variables, FUNCTIONS)
                rows.add(body == 0 if group in "Hh" else body <= 0)
    return model, variables


if __name__ == "__main__":
    main(solve)
