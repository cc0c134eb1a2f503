#!/usr/bin/python3
"""Makes the seeds of tests/fuzz/onnx_fuzz.c with Debian's python3-onnx: files
of a few hundred bytes that hold every operator and form that is read, so that
a fuzzer's small changes reach them. Run by hand, once.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib

from onnx import TensorProto, checker, helper

FOLDER = pathlib.Path(__file__).parents[2] / "fuzz/corpus/onnx"


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], **attributes)


def floats(name, *dims):
    count = 1
    for dim in dims:
        count *= dim
    values = [i * 0.5 + 1 for i in range(count)]
    return helper.make_tensor(name, TensorProto.FLOAT, dims, values)


def ints(name, *values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def save(name, nodes, tensors, shape, classes, opset=13):
    first = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    last = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", classes])
    graph = helper.make_graph(nodes, "g", [first], [last], tensors)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, producer_name="p")
    model.ir_version = 7
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
