"""What is known while a traced program is read: tensors, constants, and nodes so far."""

import numpy as np
import paddle
from paddle.pir import Operation, Value

from compress.graph.ir import Node


class Reader:
    """Collects nodes.

    Attributes:
        nodes: so far, in order.
        arrays: by the id of a value: parameters, and constants that are computed beforehand.
        owners: by the id of a value that is a parameter: its layer's name.
        lists: by the id of a list of tensors: its members, values or names.
        pending: by the id of a value that a reshape or a transposition gives, which may turn out to be part
            of a channel shuffle: its operator, the shuffle's source, and the shape after the first reshape.
    """

    def __init__(self, net: paddle.nn.Layer) -> None:
        self.nodes: list[Node] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.owners: dict[str, str] = {}
        self.lists: dict[str, list] = {}
        self.pending: dict[str, tuple] = {}
        self._used: dict[str, int] = {}  # how often a name was given
        self._names: dict[str, str] = {}  # value id -> tensor
        self._layers = {each.name: (name, each) for name, each in net.named_parameters()}
        self._layers |= {each.name: (name, each) for name, each in net.named_buffers()}

    def tensor(self, value: Value) -> str:
        """Return the name of the tensor that holds `value`."""
        if value.id not in self._names and value.id in self.pending:
            self.view(self.pending[value.id][0])
        if value.id not in self._names:
            name = value.get_defining_op().name()
            raise NotImplementedError(f"an operator reads the result of '{name}' as a tensor of the network")
        return self._names[value.id]

    def write(self, operator: Operation, tensor: str) -> None:
        """Note that the operator's first result is `tensor`."""
        self._names[operator.result(0).id] = tensor

    def name(self, value: Value, tensor: str) -> None:
        """Note that `value` is `tensor`."""
        self._names[value.id] = tensor

    def node(
        self,
        kind: str,
        inputs: list[str],
        name: str | None = None,
        count: int = 1,
        attrs: dict | None = None,
        params: dict | None = None,
    ) -> str | list[str]:
        """Append a node and return what it writes: a tensor, or `count` tensors."""
        name = name or f"{kind}_{len(self.nodes)}"
        self._used[name] = self._used.get(name, 0) + 1
        if self._used[name] > 1:
            name = f"{name}@{self._used[name]}"
        outputs = [name] if count == 1 else [f"{name}:{index}" for index in range(count)]
        self.nodes.append(Node(kind, name, inputs, outputs, attrs or {}, params or {}))
        return name if count == 1 else outputs

    def array(self, value: Value) -> np.ndarray:
        """Return a parameter or constant as float32."""
        return np.ascontiguousarray(self.arrays[value.id], dtype=np.float32)

    def numbers(self, value: Value) -> list[int]:
        """Return a constant list of whole numbers, such as axes."""
        return [int(each) for each in np.ravel(self.arrays[value.id])]

    def parameter(self, operator: Operation) -> None:
        """Note a parameter or buffer."""
        full_name, parameter = self._layers[operator.attrs()["parameter_name"]]
        value = operator.result(0)
        self.arrays[value.id] = parameter.numpy()
        self.owners[value.id] = full_name.rpartition(".")[0]

    def view(self, operator: Operation) -> None:
        """Append what gives the numbers of a tensor another shape, or its axes another order."""
        value, result = operator.operands_source()[0], operator.result(0)
        before, after = list(value.shape), list(result.shape)
        turned = operator.name() == "pd_op.transpose"
        axes = [axis % len(before) for axis in operator.attrs()["perm"]] if turned else [0]
        if before[0] != after[0] or axes[0] != 0:
            raise NotImplementedError(
                f"the network uses '{operator.name()}' from {before} to {after}; axis 0 is the batch, which "
                "a graph leaves as it is"
            )
        if turned:
            tensor = self.node("transpose", [self.tensor(value)], attrs={"axes": axes})
        elif before == after:
            tensor = self.tensor(value)
        else:
            tensor = self.node("reshape", [self.tensor(value)], attrs={"shape": after[1:]})
        self.write(operator, tensor)
