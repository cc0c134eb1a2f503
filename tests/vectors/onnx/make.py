#!/usr/bin/python3
"""Makes the models and expected outputs of this folder, with PyTorch 1.13
(Debian's python3-torch). Run by hand, once; the tests only read the files.

NAME.f32 holds little-endian floats: four inputs as (N, H, W, C), then what
PyTorch computes from them, (N, classes).

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore")
FOLDER = pathlib.Path(__file__).parent
ROWS = 4


class Cnn(nn.Module):
    """Nothing in it is square, so that no two axes can be mixed up."""

    def __init__(self, flatten):
        super().__init__()
        self.flatten = flatten
        self.register_buffer("mean", torch.tensor([0.4, 0.5]).view(1, 2, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3]).view(1, 2, 1, 1))
        self.conv1 = nn.Conv2d(2, 4, (3, 2), padding=(1, 0))
        self.conv2 = nn.Conv2d(4, 5, 3, stride=(1, 2), padding=1)
        self.drop = nn.Dropout()
        self.fc1 = nn.Linear(5 * 4 * 2, 7)
        self.fc2 = nn.Linear(7, 3)

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.relu(self.conv2(x))
        x = self.drop(self.flatten(x))
        return self.fc2(torch.relu(self.fc1(x)))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(2 * 5 * 3, 6), nn.ReLU(), nn.Linear(6, 4)
        )

    def forward(self, x):
        return self.layers(x)


class Product(nn.Module):
    """Weights as (inputs, outputs): MatMul and Add instead of Gemm."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(30, 6) / 5)
        self.first_bias = nn.Parameter(torch.randn(6))
        self.second = nn.Parameter(torch.randn(6, 4))

    def forward(self, x):
        x = torch.relu(x.flatten(1) @ self.first + self.first_bias)
        return x @ self.second


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2))

    def forward(self, x):
        return self.layers((x - 0.5) / 2.0)


def save_outputs(name, model, x):
    nhwc = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
    with torch.no_grad():
        numbers = torch.cat([nhwc.flatten(), model(x).flatten()])
    (FOLDER / f"{name}.f32").write_bytes(numbers.numpy().tobytes())


def export(name, model, x, dynamic=False, **options):
    axes = {"x": {0: "batch"}} if dynamic else None
    torch.onnx.export(
        model,
        x,
        FOLDER / f"{name}.onnx",
        input_names=["x"],
        dynamic_axes=axes,
        **options,
    )


def seeded(make, *args):
    torch.manual_seed(7)
    return make(*args).eval()


def main():
    torch.manual_seed(1)
    pictures = torch.rand(ROWS, 2, 8, 7)
    by_shape = seeded(Cnn, lambda x: x.view(x.size(0), -1))
    by_axis = seeded(Cnn, lambda x: torch.flatten(x, 1))
    save_outputs("cnn", by_axis, pictures)
    export("cnn", by_axis, pictures)
    export("cnn-11", by_shape, pictures[:1], opset_version=11)
    export("cnn-11-batch", by_shape, pictures, True, opset_version=11)
    export("cnn-17", by_axis, pictures, True, opset_version=17)
    export("cnn-17-batch", by_shape, pictures, True, opset_version=17)
    export(
        "cnn-training",
        by_axis,
        pictures,
        opset_version=17,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )

    small = torch.rand(ROWS, 2, 5, 3)
    mlp = seeded(Mlp)
    save_outputs("mlp", mlp, small)
    export("mlp", mlp, small)
    export("mlp-11", mlp, small, opset_version=11)
    export(
        "mlp-11-inputs",
        mlp,
        small,
        opset_version=11,
        keep_initializers_as_inputs=True,
    )
    export("mlp-17", mlp, small, True, opset_version=17)

    product = seeded(Product)
    save_outputs("product", product, small)
    export("product", product, small, True)

    table = seeded(Table)
    rows = torch.rand(ROWS, 9)
    save_outputs("table", table, rows)
    export("table", table, rows, True)


main()
