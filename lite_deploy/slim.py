"""Make an optimised Paddle-Lite model smaller and shorter, without touching a number.

Paddle-Lite's optimiser converts a tensor to INT8 once for every convolution that reads it, names buffers at
length, and shares them on ARM only. The steps here rewrite the list of instructions, each safe by itself:

    slim = reuse_memory(merge_casts(single_assignment(model)))
"""

from dataclasses import replace

from lite_deploy.nb import KERNEL, LiteModel, Operator


def slim(model: LiteModel) -> LiteModel:
    """Return the same program in fewer instructions, buffers and bytes."""
    return reuse_memory(merge_casts(single_assignment(model)))


def single_assignment(model: LiteModel) -> LiteModel:
    """Give every result a name of its own: undo the sharing of buffers.

    Parameters, what is fed and what is fetched keep their names.
    """
    fixed = _fixed(model)
    variables = {each.name: each for each in model.variables}
    kept = [each for each in model.variables if each.name in fixed]
    names: dict[str, str] = {}
    operators = []
    for op in model.operators:
        inputs = {slot: [names.get(name, name) for name in tensors] for slot, tensors in op.inputs.items()}
        outputs = {}
        for slot, tensors in op.outputs.items():
            for name in tensors:
                if name not in fixed:
                    names[name] = f"{len(kept)}"
                    kept.append(replace(variables[name], name=names[name]))
            outputs[slot] = [names.get(name, name) for name in tensors]
        operators.append(replace(op, inputs=inputs, outputs=outputs))
    return replace(model, operators=operators, variables=kept)


def merge_casts(model: LiteModel) -> LiteModel:
    """Convert a tensor once for all who read it in the same precision and scale.

    Args:
        model: with a name for each result (`single_assignment`).
    """
    first: dict[tuple, str] = {}
    same: dict[str, str] = {}
    operators = []
    for op in model.operators:
        inputs = {slot: [same.get(name, name) for name in tensors] for slot, tensors in op.inputs.items()}
        op = replace(op, inputs=inputs)
        if op.type == "calib":
            result = op.outputs["Out"][0]
            key = (op.inputs["Input"][0], op.get(KERNEL), op.get("scale"))
            if key in first:
                same[result] = first[key]
                continue
            first[key] = result
        operators.append(op)
    return replace(model, operators=operators, variables=[v for v in model.variables if v.name not in same])


def reuse_memory(model: LiteModel) -> LiteModel:
    """Let results whose lives do not overlap share a buffer.

    The buffer that was freed last is taken first: it is still in the cache.

    Args:
        model: with a name for each result (`single_assignment`).
    """
    fixed = _fixed(model) | _in_place(model)
    last = {name: index for index, op in enumerate(model.operators) for name in _tensors(op)}
    variables = {each.name: each for each in model.variables}
    names = {name: name for name in fixed}
    free: list[str] = []
    count = 0
    operators, used = [], {}
    for index, op in enumerate(model.operators):
        for name in (name for tensors in op.outputs.values() for name in tensors if name not in names):
            if not free:
                free.append(str(count))
                count += 1
            names[name] = free.pop()
            used.setdefault(names[name], replace(variables[name], name=names[name]))
        operators.append(
            replace(
                op,
                inputs={slot: [names[name] for name in tensors] for slot, tensors in op.inputs.items()},
                outputs={slot: [names[name] for name in tensors] for slot, tensors in op.outputs.items()},
            )
        )
        free += sorted({names[name] for name in _tensors(op) if name not in fixed and last[name] == index})
    kept = [each for each in model.variables if each.name in fixed]
    return replace(model, operators=operators, variables=kept + list(used.values()))


def _fixed(model: LiteModel) -> set[str]:
    """Return the names that must stay: parameters, `feed`, `fetch`, and what goes in and out."""
    names = {each.name for each in model.variables if each.persistable} | set(model.params)
    for op in model.operators:
        if op.type in ("feed", "fetch"):
            names |= set(_tensors(op))
    return names


def _in_place(model: LiteModel) -> set[str]:
    """Return what operators that work in place read and write: two names for one buffer."""
    return {name for op in model.operators if op.get("inplace") for name in _tensors(op)}


def _tensors(op: Operator) -> list[str]:
    return [name for slots in (op.inputs, op.outputs) for tensors in slots.values() for name in tensors]
