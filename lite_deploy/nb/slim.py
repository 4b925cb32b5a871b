"""Make an optimised Paddle-Lite model smaller, shorter, and fit for any library, without touching a weight.

Paddle-Lite's optimiser converts a tensor to INT8 once for every convolution that reads it, names buffers at
length, and shares them on ARM only. In FP16 it leaves splits in FP32, with conversions around them, and the
weights too, which the runtime rounds while loading. Gates it leaves to operators that only some libraries
have. The steps here rewrite the model, each safe by itself:

    slim = half_weights(reuse_memory(merge_casts(half_splits(basic_gates(single_assignment(model))))))
"""

import itertools
from dataclasses import replace

import numpy as np

from lite_deploy.nb.file import KERNEL, Attr, LiteModel, Operator
from tinypose.errors import UserError

HALF_SPLIT = "split/def/1/5/1"  # alias, host, FP16, NCHW
# What these read and write is shared with nothing, as in Paddle-Lite (memory_optimize_pass.cc).
UNSHARED = ("feed", "fetch", "cast", "equal", "expand", "lod_reset", "share_data", "yolo_box")


def slim(model: LiteModel) -> LiteModel:
    """Return the same program in fewer instructions, buffers and bytes."""
    return half_weights(reuse_memory(merge_casts(half_splits(basic_gates(single_assignment(model))))))


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


def basic_gates(model: LiteModel) -> LiteModel:
    """Compute `hard_sigmoid` and `hard_swish` on ARM with operators that every library has.

    These two are only in libraries `with_extra`. A `scale` may do a 'relu6' of any limit (scale_op.cc), so
    that it alone is clip(slope * x + offset, 0, 1), in FP32 and FP16; hard_swish is that times x. A
    convolution's own hard_swish stays: every library's kernels do it.

    Args:
        model: with a name for each result (`single_assignment`).
    """
    variables = list(model.variables)
    operators = []
    for op in model.operators:
        if op.target != "arm" or op.type not in ("hard_sigmoid", "hard_swish"):
            operators.append(op)
            continue
        (result,) = op.outputs["Out"]
        if op.type == "hard_sigmoid":
            gate, slope, offset, limit = result, op.get("slope"), op.get("offset"), 1.0
        else:
            gate, slope = f"{result}/gate", 1 / op.get("scale")
            offset, limit = op.get("offset") * slope, op.get("threshold") * slope
            variables += [replace(each, name=gate) for each in model.variables if each.name == result]
        attrs = {"scale": Attr("f", slope), "bias": Attr("f", offset), "bias_after_scale": Attr("b", True)}
        attrs |= {"activation_type": Attr("s", "relu6"), "alpha": Attr("f", limit)}
        attrs[KERNEL] = Attr("s", op.get(KERNEL).replace(op.type, "scale"))
        operators.append(Operator("scale", op.inputs, {"Out": [gate]}, attrs))
        if gate != result:
            attrs = {
                "axis": Attr("i", -1),
                KERNEL: Attr("s", op.get(KERNEL).replace(op.type, "elementwise_mul")),
            }
            product = {"X": op.inputs["X"], "Y": [gate]}
            operators.append(Operator("elementwise_mul", product, {"Out": [result]}, attrs))
    return replace(model, operators=operators, variables=variables)


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


def half_splits(model: LiteModel) -> LiteModel:
    """Split in FP16 where the rest is FP16, and convert only what is still of the wrong type.

    Paddle-Lite's runtime has that kernel wherever it has FP16 (`split,kHost,kFP16,kNCHW,def` in the list of
    kernels of 2.13rc0), but its optimiser does not know it on x86: it splits in FP32, converts each piece,
    and lets concatenations mix both types, which the runtime then converts piece by piece once more. What is
    fetched is FP32: who reads a network's outputs reads floats.

    Args:
        model: with a name for each result (`single_assignment`); any but an FP16 one is returned as it is.
    """
    if model.precision() != "fp16":
        return model
    fixed = _fixed(model)
    fetched = {name for op in model.operators if op.type == "fetch" for name in op.inputs["X"]}
    variables = {each.name: each for each in model.variables}
    types: dict[str, str] = {}  # of each tensor that is computed
    same: dict[str, str] = {}  # a conversion's result -> what it converted
    made: dict[tuple[str, str], str] = {}  # (tensor, type) -> its conversion
    operators: list[Operator] = []

    def converted(name: str, wanted: str | None) -> str:
        if wanted is None or types.get(name, wanted) == wanted:
            return name
        if (name, wanted) not in made:
            result = made[name, wanted] = f"{name}/{wanted}"
            variables[result] = replace(variables[name], name=result)
            kernel = {KERNEL: Attr("s", f"calib/{types[name]}_to_{wanted}/4/5/1")}
            operators.append(Operator("calib", {"Input": [name]}, {"Out": [result]}, kernel))
            types[result] = wanted
        return made[name, wanted]

    for op in model.operators:
        inputs = {slot: [same.get(name, name) for name in names] for slot, names in op.inputs.items()}
        found = {types[name] for names in inputs.values() for name in names if name in types}
        if op.type == "calib" and op.outputs["Out"][0] not in fixed:
            same[op.outputs["Out"][0]] = inputs["Input"][0]
            continue
        if op.type == "split" and (op.target, op.precision) == ("host", "fp32"):
            op = replace(op, attrs=op.attrs | {KERNEL: Attr("s", HALF_SPLIT)})
        if op.type == "calib":
            wanted, result = op.kernel.split("_to_")
        elif op.type == "fill_constant_batch_size_like":  # takes only the size of what it is given
            wanted, result = None, "fp32"
        elif op.precision == "any":  # works in the type that it is given
            wanted = "fp16" if len(found) > 1 else None
            result = wanted or next(iter(found), "fp32")
        else:
            wanted = result = op.precision
        inputs = {slot: [converted(name, wanted) for name in names] for slot, names in inputs.items()}
        halves = {
            name: f"{name}/half"
            for names in op.outputs.values()
            for name in names
            if name in fetched and result == "fp16" and op.type != "calib"
        }
        outputs = {slot: [halves.get(name, name) for name in names] for slot, names in op.outputs.items()}
        operators.append(replace(op, inputs=inputs, outputs=outputs))
        types |= {name: result for names in outputs.values() for name in names}
        for name, half in halves.items():
            variables[half] = replace(variables[name], name=half)
            kernel = {KERNEL: Attr("s", "calib/fp16_to_fp32/4/5/1")}
            operators.append(Operator("calib", {"Input": [half]}, {"Out": [name]}, kernel))
            types[name] = "fp32"
    used = {name for op in operators for name in _tensors(op)}
    kept = [each for name, each in variables.items() if name in used or name in fixed]
    return replace(model, operators=operators, variables=kept)


def half_weights(model: LiteModel) -> LiteModel:
    """Store as FP16 the weights that the runtime would round to it while loading.

    The optimiser marks them by an attribute, `NAME_fp16`, of an instruction that reads them
    (fp16_attribute_pass.cc). A parameter's type in the file becomes the tensor's, and the loader rounds only
    what is FP32, to the nearest and ties to even as numpy does (`LightPredictor::WeightFP32ToFP16`).
    It forgets those of sums with an activation, which the runtime then reads as if they were FP16.

    Raises:
        UserError: an instruction that is not in FP16 reads such a weight; the runtime would read it wrongly.
    """
    marked = {name for op in model.operators for name in _tensors(op) if f"{name}_fp16" in op.attrs}
    for op in model.operators:
        if op.precision == "fp16" and "elementwise" in op.type:
            marked |= {name for name in _tensors(op) if name in model.params}
    for op in model.operators:
        if marked & set(_tensors(op)) and op.precision != "fp16":
            raise UserError(
                f"FP16 model: Paddle-Lite computes '{op.type}' in {op.precision}, from weights that it keeps "
                "in FP16; make this network in FP32"
            )
    halves = {name: model.params[name].astype(np.float16) for name in marked}
    return replace(model, params=model.params | halves)


def reuse_memory(model: LiteModel) -> LiteModel:
    """Let results whose lives do not overlap share a buffer.

    The buffer that was freed last is taken first: it is still in the cache.

    Args:
        model: with a name for each result (`single_assignment`).
    """
    owner = _owners(model)
    fixed = _fixed(model)
    fixed |= {owner[name] for name in fixed & set(owner)} | set(owner)
    last: dict[str, int] = {}
    for index, op in enumerate(model.operators):
        last |= {owner.get(name, name): index for name in _tensors(op)}
    variables = {each.name: each for each in model.variables}
    names = {name: name for name in fixed}
    unused = (str(number) for number in itertools.count() if str(number) not in fixed)
    free: list[str] = []
    operators, used = [], {}
    for index, op in enumerate(model.operators):
        for name in (name for tensors in op.outputs.values() for name in tensors if name not in names):
            names[name] = free.pop() if free else next(unused)
            used.setdefault(names[name], replace(variables[name], name=names[name]))
        operators.append(
            replace(
                op,
                inputs={slot: [names[name] for name in tensors] for slot, tensors in op.inputs.items()},
                outputs={slot: [names[name] for name in tensors] for slot, tensors in op.outputs.items()},
            )
        )
        touched = {owner.get(name, name) for name in _tensors(op)} - fixed
        free += sorted(names[name] for name in touched if last[name] == index)
    kept = [each for each in model.variables if each.name in fixed]
    return replace(model, operators=operators, variables=kept + list(used.values()))


def _fixed(model: LiteModel) -> set[str]:
    """Return the names that must stay: parameters, `feed`, `fetch`, what goes in and out, `UNSHARED`."""
    names = {each.name for each in model.variables if each.persistable} | set(model.params)
    for op in model.operators:
        if op.type in UNSHARED:
            names |= set(_tensors(op))
    return names


def _owners(model: LiteModel) -> dict[str, str]:
    """Return for each result of an operator that works in place whose buffer it is a second name for.

    Such a name is not given to anything else: writing to it would write to that buffer.
    """
    owner: dict[str, str] = {}
    for op in model.operators:
        if op.get("inplace"):
            source = next(iter(op.inputs["X"]))
            owner |= {name: owner.get(source, source) for name in op.outputs["Out"]}
    return owner


def _tensors(op: Operator) -> list[str]:
    return [name for slots in (op.inputs, op.outputs) for tensors in slots.values() for name in tensors]
