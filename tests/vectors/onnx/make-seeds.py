#!/usr/bin/python3
"""Makes the seeds of tests/fuzz/onnx_fuzz.c with Debian's python3-onnx: files
of a few hundred bytes that hold every operator and form that is read, so that
a fuzzer's small changes reach them. Run by hand, once.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib

from onnx import TensorProto, checker, helper

FOLDER = pathlib.Path(__file__).parents[2] / "fuzz/corpus/onnx"


def node(op, inputs, outputs, **attributes):
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), **attributes)


def floats(name, *dims):
    count = 1
    for dim in dims:
        count *= dim
    values = [i * 0.5 + 1 for i in range(count)]
    return helper.make_tensor(name, TensorProto.FLOAT, dims, values)


def ints(name, *values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def scalar(name, value):
    return helper.make_tensor(name, TensorProto.FLOAT, [], [value])


def save_layer(name, nodes, tensors=(), channels=4, opset=13, is_valid=True):
    """x (N, 4, 4, 4) -> the nodes, which make `b` -> y (N, 2)."""
    tail = [node("GlobalAveragePool", "b", "y1"), node("Flatten", "y1", "y2"),
            node("Gemm", "y2 y3 y4", "y", transB=1)]
    weights = [floats("y3", 2, channels), floats("y4", 2)]
    save(name, nodes + tail, list(tensors) + weights, ["N", 4, 4, 4], 2, opset,
         is_valid)


def save(name, nodes, tensors, shape, classes, opset=13, is_valid=True):
    first = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    last = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", classes])
    graph = helper.make_graph(nodes, "g", [first], [last], tensors)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, producer_name="p")
    model.ir_version = 8 if opset > 13 else 7
    if is_valid:
        checker.check_model(model)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


save(
    "conv",
    [
        node("Sub", "x m", "a"),
        node("Div", "a s", "b"),
        node("Conv", "b k c", "d", pads=[1, 0, 0, 1], strides=[1, 1]),
        node("Relu", "d", "e"),
        node("MaxPool", "e", "f", kernel_shape=[2, 1], strides=[1, 1]),
        node("Flatten", "f", "h"),
        node("Gemm", "h w v", "y", transB=1),
    ],
    [
        floats("m", 1, 2, 1, 1),
        floats("s"),
        floats("k", 2, 2, 2, 2),
        floats("c", 2),
        floats("w", 2, 12),
        floats("v", 2),
    ],
    ["N", 2, 3, 3],
    2,
)
save(
    "sums",
    [
        node("Add", "m x", "a"),
        node("Mul", "a s", "b"),
        node("MatMul", "b w", "c"),
        node("Add", "c v", "d"),
        node("Dropout", "d", "e"),
        node("Identity", "e", "f"),
        node("MatMul", "f u", "y"),
    ],
    [floats("m", 3), floats("s"), floats("w", 3, 2), floats("v", 2),
     floats("u", 2, 2)],
    [1, 3],
    2,
)
save(
    "shapes",
    [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("Transpose", "t", "u", perm=[0, 3, 1, 2]),
        node("Conv", "u k", "a", auto_pad="VALID"),
        node("Shape", "a", "b"),
        node("Constant", "", "i", value=helper.make_tensor(
            "", TensorProto.INT64, [], [0])),
        node("Gather", "b i", "c"),
        node("Unsqueeze", "c", "d", axes=[0]),
        node("Constant", "", "j", value=ints("", -1)),
        node("Concat", "d j", "e", axis=0),
        node("Reshape", "a e", "f"),
        node("Transpose", "w", "v", perm=[1, 0]),
        node("Gemm", "f v", "y"),
    ],
    [floats("k", 2, 1, 1, 2), floats("w", 2, 4)],
    ["N", 1, 2, 2],
    2,
    opset=11,
)
save(
    "reshape",
    [node("Reshape", "x s", "a"), node("Gemm", "a w v", "y")],
    [ints("s", 0, -1), floats("w", 4, 2), floats("v", 1, 2)],
    [2, 1, 2, 2],
    2,
)

# One operator each.
for op in ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "HardSwish"]:
    save_layer(op.lower(), [node(op, "x", "b")], opset=14)
save_layer("clip", [node("Clip", "x m n", "b")],
           [scalar("m", 0), scalar("n", 6)])
save_layer("add", [node("Relu", "x", "a"), node("Add", "x a", "b")])
save_layer("mul", [node("GlobalAveragePool", "x", "a"),
                   node("Mul", "x a", "b")])
save_layer(
    "groups",
    [node("Conv", "x k", "b", group=2, dilations=[1, 2], pads=[1, 1, 1, 1])],
    [floats("k", 4, 2, 3, 3)],
)
save_layer("depthwise", [node("Conv", "x k", "b", group=4)],
           [floats("k", 4, 1, 3, 3)])
save_layer(
    "averagepool",
    [node("AveragePool", "x", "b", kernel_shape=[3, 3], pads=[1, 1, 1, 1],
          count_include_pad=1)],
)
save_layer(
    "pad",
    [node("Pad", "x p", "a"), node("Conv", "a k", "b")],
    [ints("p", 0, 0, 1, 1, 0, 0, 1, 1), floats("k", 4, 4, 3, 3)],
)
save_layer("mean", [node("ReduceMean", "x", "b", axes=[2, 3])])
save_layer(
    "mean_row",
    [node("ReduceMean", "x", "a", axes=[2, 3], keepdims=0),
     node("Reshape", "a s", "b")],
    [ints("s", 0, 4, 1, 1)],
)
save_layer(
    "batchnorm",
    [node("BatchNormalization", "x n.weight n.bias n.mean n.var", "b")],
    [floats(f"n.{role}", 4) for role in ["weight", "bias", "mean", "var"]],
)
save_layer(
    "groupnorm",
    [node("Reshape", "x r", "a"),
     node("InstanceNormalization", "a o z", "c"),
     node("Shape", "x", "s"),
     node("Reshape", "c s", "d"),
     node("Unsqueeze", "g.weight i", "e"),
     node("Mul", "d e", "h"),
     node("Add", "h k", "b")],
    [ints("r", 0, 2, -1), scalar("k", 0.5), ints("i", 1, 2),
     helper.make_tensor("o", TensorProto.FLOAT, [2], [1, 1]),
     helper.make_tensor("z", TensorProto.FLOAT, [2], [0, 0]),
     floats("g.weight", 4)],
)
save_layer("instancenorm", [node("InstanceNormalization", "x m n", "b")],
           [floats("m", 4), floats("n", 4)])
save_layer(
    "l2norm",
    [node("ReduceL2", "x", "a", axes=[1]), node("Clip", "a m", "c"),
     node("Shape", "x", "s"), node("Expand", "c s", "d"),
     node("Div", "x d", "b")],
    [scalar("m", 0.001)],
)
save_layer(
    "l2norm_sum",
    [node("Mul", "x x", "a"), node("ReduceSum", "a i", "c"),
     node("Sqrt", "c", "d"), node("Max", "d m", "e"), node("Div", "x e", "b")],
    [ints("i", 1), scalar("m", 0.001)],
)
save_layer("lpnorm", [node("LpNormalization", "x", "b", axis=1)])
save_layer("concat", [node("Tanh", "x", "a"), node("Concat", "x a", "b",
                                                   axis=1)], channels=8)
save_layer("split", [node("Split", "x s", "a c", axis=1),
                     node("Concat", "c a", "b", axis=1)], [ints("s", 3, 1)])
save_layer("slice", [node("Slice", "x o t o", "b")],
           [ints("o", 1), ints("t", 3)], channels=2)
save_layer(
    "chunk",
    [node("Shape", "x", "s"), node("Gather", "s o", "c"),
     node("Add", "c o", "d"), node("Div", "d t", "e"),
     node("Slice", "x z e o", "b")],
    [ints("o", 1), ints("t", 2), ints("z", 0)], channels=2,
)
save_layer(
    "shuffle",
    [node("Reshape", "x g", "a"),
     node("Transpose", "a", "c", perm=[0, 2, 1, 3, 4]),
     node("Reshape", "c s", "b")],
    [ints("g", 0, 2, 2, 4, 4), ints("s", 0, -1, 4, 4)],
)
save_layer(
    "hardswish_old",
    [node("Add", "x t", "a"), node("Clip", "a z s", "c"),
     node("Mul", "x c", "d"), node("Div", "d s", "b")],
    [scalar("t", 3), scalar("z", 0), scalar("s", 6)],
)
save_layer(
    "hardsigmoid_old",
    [node("Add", "x t", "a"), node("Relu", "a", "e"),
     node("Clip", "e z s", "c"), node("Div", "c s", "d"),
     node("Mul", "x d", "b")],
    [scalar("t", 3), scalar("z", 0), scalar("s", 6)],
)
save_layer(
    "gate",
    [node("GlobalAveragePool", "x", "a"), node("Flatten", "a", "c"),
     node("MatMul", "c g", "d"), node("Reshape", "d s", "e"),
     node("Mul", "x e", "b")],
    [floats("g", 4, 4), ints("s", -1, 4, 1, 1)],
)
save(
    "rows",
    [node("Gemm", "x w", "a"),
     node("BatchNormalization", "a n m n n", "b"),
     node("Concat", "a b", "c", axis=-1), node("Identity", "u", "t"),
     node("Gemm", "c t", "d"), node("Add", "d d", "y")],
    [floats("w", 3, 2), floats("n", 2), floats("m", 2), floats("u", 4, 2)],
    ["N", 3],
    2,
)
save(
    "orders",
    [node("Flatten", "x", "a"), node("Relu", "x", "b"),
     node("Flatten", "b", "c"), node("Add", "a c", "d"),
     node("BatchNormalization", "d n m n n", "e"),
     node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
     node("Flatten", "t", "f"), node("Concat", "f f", "g", axis=1),
     node("Gemm", "e w", "h"), node("Gemm", "g v", "i"),
     node("Add", "h i", "y")],
    [floats("n", 8), floats("m", 8), floats("w", 8, 2), floats("v", 16, 2)],
    ["N", 2, 2, 2],
    2,
)
save_layer(
    "casts",
    [node("Cast", "z", "m", to=TensorProto.FLOAT),
     node("Cast", "d", "n", to=TensorProto.FLOAT), node("Clip", "x m n", "b")],
    [helper.make_tensor("z", TensorProto.INT64, [], [0]),
     helper.make_tensor("d", TensorProto.DOUBLE, [], [6])],
)

# Files that must be refused, one reason each.
save_layer("bad_cycle", [node("Add", "x a", "b"), node("Relu", "b", "a")],
           is_valid=False)
save_layer("bad_missing", [node("Add", "x a", "b")], is_valid=False)
save_layer("bad_double", [node("Relu", "x", "b"), node("Tanh", "x", "b")],
           is_valid=False)
save_layer("bad_shape", [node("Conv", "x k", "b")], [floats("k", 4, 3, 1, 1)])
save_layer("bad_nan", [node("Conv", "x k", "b")],
           [helper.make_tensor("k", TensorProto.FLOAT, [4, 4, 1, 1],
                               [float("nan")] * 16)])
empty = floats("k", 4, 4, 1, 1)
empty.dims[1] = 0
save_layer("bad_empty", [node("Conv", "x k", "b")], [empty], is_valid=False)
huge = floats("k", 4, 4, 1, 1)
huge.dims[0] = huge.dims[1] = 1 << 62
save_layer("bad_huge", [node("Conv", "x k", "b")], [huge], is_valid=False)
short = floats("k", 4, 4, 1, 1)
del short.float_data[-1]
save_layer("bad_short", [node("Conv", "x k", "b")], [short], is_valid=False)
outside = floats("k", 4, 4, 1, 1)
outside.data_location = TensorProto.EXTERNAL
outside.external_data.add(key="location", value="/etc/hostname")
save_layer("bad_external", [node("Conv", "x k", "b")], [outside],
           is_valid=False)
save_layer("bad_negative",
           [node("BatchNormalization", "x n o n m", "b")],
           [floats("n", 4), floats("o", 4), helper.make_tensor("m", TensorProto.FLOAT, [4],
                                               [1, 1, -1, 1])])
deep = helper.make_graph([], "deep", [], [])
for _ in range(60):
    deep = helper.make_graph([node("If", "x", "b", then_branch=deep)], "deep",
                             [], [])
save_layer("bad_deep", [node("If", "x", "b", then_branch=deep)],
           is_valid=False)
