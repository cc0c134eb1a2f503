#!/usr/bin/python3
"""Trains a federation's model with PyTorch, on a GPU where there is one.

    fedge-client run ... \
        --trainer-command "/usr/bin/python3 /opt/pytorch_trainer.py"

The client starts this program for each training, in a folder that has the model
and the examples as files, with the task as one line of JSON on standard input.
docs/trainer.md explains all of it. Needs Debian's python3-torch and python3-onnx,
or the same of pip. Copy it and change train(): the rest can stay.

SPDX-License-Identifier: Apache-2.0
"""
import json
import math
import struct
import sys

import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


# ---- training: what you will want to change

def train(network, inputs, labels, task):
    """Trains network.tensors in place; returns the first epoch's mean loss and
    accuracy."""
    learning = network.parameters()
    sgd = torch.optim.SGD(learning, lr=task["lr"], momentum=task["momentum"],
                          weight_decay=task["weight_decay"])
    count, size = len(labels), task["batch"]
    steps = math.ceil(count / size) * task["epochs"]
    step = loss_sum = right = 0
    for epoch in range(task["epochs"]):
        for rows in torch.randperm(count).to(DEVICE).split(size):
            sgd.param_groups[0]["lr"] = learning_rate(task, step)
            logits = network(inputs[rows])
            loss = F.cross_entropy(logits, labels[rows])
            sgd.zero_grad()
            loss.backward()
            if task["clip_norm"] > 0:
                torch.nn.utils.clip_grad_norm_(learning, task["clip_norm"])
            sgd.step()
            if epoch == 0:
                loss_sum += loss.item() * len(rows)
                right += (logits.argmax(1) == labels[rows]).sum().item()
            step += 1
            say("progress", step=step, steps=steps)
    return loss_sum / count, right / count


def learning_rate(task, step):
    """The rate of a step, as the round's plan schedules it."""
    if task["schedule"] == "cosine":
        part = min(step / task["schedule_steps"], 1)
        return task["lr"] * (1 + math.cos(math.pi * part)) / 2
    if task["schedule"] == "step":
        times = step // task["schedule_steps"]
        return task["lr"] * task["schedule_factor"] ** times
    return task["lr"]


# ---- the network: ONNX's operators in PyTorch's

class Network:
    """Runs model.onnx with the tensors of model.safetensors."""

    def __init__(self, path, tensors, is_frozen):
        self.graph = onnx.load(path).graph
        self.tensors = {name: t.to(DEVICE) for name, t in tensors.items()}
        self.constants = {
            t.name: torch.tensor(numpy_helper.to_array(t)).to(DEVICE)
            for t in self.graph.initializer if t.name not in tensors}
        self.is_frozen = is_frozen  # batch norms keep their statistics
        dims = self.graph.input[0].type.tensor_type.shape.dim
        self.input = [d.dim_value for d in dims[1:]]
        for name, tensor in self.tensors.items():
            tensor.requires_grad_(".running_" not in name)

    def parameters(self):
        return [t for t in self.tensors.values() if t.requires_grad]

    def __call__(self, x):
        x = x.reshape(-1, *self.input)
        values = {**self.constants, **self.tensors,
                  self.graph.input[0].name: x}
        for node in self.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a)
                          for a in node.attribute}
            inputs = [values[name] if name else None for name in node.input]
            run = OPERATORS[node.op_type]
            values[node.output[0]] = run(self, inputs, attributes)
        return values[self.graph.output[0].name]


def pad(x, attributes, value=0.0):
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    return F.pad(x, (left, right, top, bottom), value=value)


def conv(_, inputs, a):
    return F.conv2d(pad(inputs[0], a), *inputs[1:], stride=a["strides"],
                    dilation=a.get("dilations", 1), groups=a.get("group", 1))


def max_pool(_, inputs, a):
    return F.max_pool2d(pad(inputs[0], a, -math.inf), a["kernel_shape"],
                        a["strides"])


def average_pool(_, inputs, a):
    x, (height, width) = inputs[0], a["kernel_shape"]
    sums = F.avg_pool2d(pad(x, a), (height, width), a["strides"])
    if a.get("count_include_pad") or not any(a.get("pads", [])):
        return sums
    real = F.avg_pool2d(pad(torch.ones_like(x), a), (height, width),
                        a["strides"])
    return sums / real


def batch_norm(network, inputs, a):
    x, weight, bias, mean, variance = inputs
    return F.batch_norm(x, mean, variance, weight, bias,
                        training=not network.is_frozen,
                        momentum=1 - a.get("momentum", 0.9),
                        eps=a.get("epsilon", 1e-5))


def reshape(_, inputs, _a):
    x, shape = inputs
    return x.reshape([old if new == 0 else new for old, new in
                      zip((*x.shape, *[0] * len(shape)), shape.tolist())])


def take_slice(_, inputs, _a):
    x, starts, ends, axes = inputs
    for start, end, axis in zip(starts, ends, axes):
        x = x.narrow(int(axis), int(start), int(end - start))
    return x


OPERATORS = {
    "Add": lambda _, x, a: x[0] + x[1],
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Clip": lambda _, x, a: x[0].clamp(*x[1:]),
    "Concat": lambda _, x, a: torch.cat(x, a["axis"]),
    "Conv": conv,
    "Div": lambda _, x, a: x[0] / x[1],
    "Dropout": lambda _, x, a: F.dropout(x[0], float(x[1])),
    "Flatten": lambda _, x, a: x[0].flatten(1),
    "Gemm": lambda _, x, a: F.linear(*x),  # fedge writes transB=1
    "GlobalAveragePool": lambda _, x, a: x[0].mean((2, 3), keepdim=True),
    "HardSigmoid": lambda _, x, a: (a["alpha"] * x[0] + a["beta"]).clamp(0, 1),
    "HardSwish": lambda _, x, a: F.hardswish(x[0]),
    "InstanceNormalization": lambda _, x, a: F.instance_norm(
        x[0], weight=x[1], bias=x[2], eps=a["epsilon"]),
    "LeakyRelu": lambda _, x, a: F.leaky_relu(x[0], a["alpha"]),
    "MaxPool": max_pool,
    "Mul": lambda _, x, a: x[0] * x[1],
    "ReduceL2": lambda _, x, a: x[0].norm(dim=a["axes"], keepdim=True),
    "Relu": lambda _, x, a: F.relu(x[0]),
    "Reshape": reshape,
    "Sigmoid": lambda _, x, a: x[0].sigmoid(),
    "Slice": take_slice,
    "Sub": lambda _, x, a: x[0] - x[1],
    "Tanh": lambda _, x, a: x[0].tanh(),
    "Transpose": lambda _, x, a: x[0].permute(a["perm"]),
}


# ---- the client: lines and files

def say(kind, **values):
    """A line to the client. Whatever is for people goes to standard error."""
    print(json.dumps({"version": 1, "type": kind, **values}), flush=True)


TYPES = {"F32": torch.float32, "I64": torch.int64}


def read_tensors(path):
    """The tensors of a safetensors file, by their names."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name, about in header.items():
        begin, _ = about["data_offsets"]
        tensors[name] = torch.frombuffer(
            data, dtype=TYPES[about["dtype"]], offset=begin,
            count=math.prod(about["shape"])).reshape(about["shape"])
    return tensors


def write_tensors(path, tensors):
    """The same back; all of them float32."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        end = at + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.detach().cpu().contiguous().numpy().tobytes())


def main():
    task = json.loads(sys.stdin.readline())
    torch.manual_seed(task["seed"])
    network = Network(task["graph"], read_tensors(task["model"]),
                      task["norm"] == "frozen")
    examples = read_tensors(task["examples"])
    loss, accuracy = train(network, examples["inputs"].to(DEVICE),
                           examples["labels"].to(DEVICE), task)
    write_tensors(task["result"], network.tensors)
    say("done", examples=len(examples["labels"]), loss=loss, accuracy=accuracy)


if __name__ == "__main__":
    main()
