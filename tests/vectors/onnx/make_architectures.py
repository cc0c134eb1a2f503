#!/usr/bin/python3
"""Makes the networks of the edge, a few channels wide, as PyTorch 1.13
(Debian's python3-torch) exports them, and what it computes from them. Run by
hand, once; the tests only read the files. NAME.f32 is as make.py says.

NAME-11.onnx  opset 11, any batch, batch norms kept
NAME-13.onnx  opset 13, a fixed batch, batch norms folded where PyTorch can
NAME-17.onnx  opset 17, any batch, batch norms kept

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import warnings

import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")
FOLDER = pathlib.Path(__file__).parent
ROWS = 4
KEEP = {
    "training": torch.onnx.TrainingMode.PRESERVE,
    "do_constant_folding": False,
}


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def unit(inputs, outputs, kernel, act, stride=1, groups=1):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups,
                  bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = unit(inputs, outputs, 3, nn.ReLU, stride)
        self.second = unit(outputs, outputs, 3, None)
        self.past = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.past = unit(inputs, outputs, 1, None, stride)

    def forward(self, x):
        return torch.relu(self.second(self.first(x)) + self.past(x))


class Resnet8(nn.Sequential):
    def __init__(self):
        super().__init__(
            unit(3, 4, 3, nn.ReLU),
            Residual(4, 4, 1),
            Residual(4, 6, 2),
            Residual(6, 8, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        )


class Resnet18(nn.Sequential):
    def __init__(self):
        stages = [(4, 4, 1), (4, 4, 1), (4, 6, 2), (6, 6, 1), (6, 8, 2),
                  (8, 8, 1), (8, 10, 2), (10, 10, 1)]
        super().__init__(
            unit(3, 4, 7, nn.ReLU, 2),
            nn.MaxPool2d(3, 2, 1),
            *[Residual(*stage) for stage in stages],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(10, 3),
        )


class Inverted(nn.Module):
    def __init__(self, inputs, outputs, stride, grow):
        super().__init__()
        middle = inputs * grow
        self.adds = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            unit(inputs, middle, 1, nn.ReLU6),
            unit(middle, middle, 3, nn.ReLU6, stride, middle),
            unit(middle, outputs, 1, None),
        )

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


class Mobilenetv2(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            unit(3, 4, 3, nn.ReLU6, 2),
            unit(4, 4, 3, nn.ReLU6, 1, 4),
            Inverted(4, 6, 2, 3),
            Inverted(6, 6, 1, 3),
            unit(6, 12, 1, nn.ReLU6),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 3))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class Squeeze(nn.Module):
    """`is_old`: before PyTorch had a hard sigmoid."""

    def __init__(self, channels, is_old):
        super().__init__()
        self.is_old = is_old
        self.fc1 = nn.Conv2d(channels, 3, 1)
        self.fc2 = nn.Conv2d(3, channels, 1)

    def forward(self, x):
        gate = self.fc2(torch.relu(self.fc1(F.adaptive_avg_pool2d(x, 1))))
        if self.is_old:
            return x * (F.relu6(gate + 3) / 6)
        return x * F.hardsigmoid(gate)


class OldHardSwish(nn.Module):
    def forward(self, x):
        return x * F.relu6(x + 3) / 6


class Mobilenetv3(nn.Module):
    def __init__(self, is_old):
        super().__init__()
        act = OldHardSwish if is_old else nn.Hardswish
        self.features = nn.Sequential(
            unit(3, 4, 3, act, 2),
            unit(4, 8, 1, nn.ReLU),
            unit(8, 8, 5, nn.ReLU, 2, 8),
            Squeeze(8, is_old),
            unit(8, 6, 1, None),
            unit(6, 10, 1, act),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(10, 9), act(), nn.Dropout(0.2), nn.Linear(9, 3))

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


def shuffle(x, groups):
    batch, channels, height, width = x.size()
    x = x.view(batch, groups, channels // groups, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batch, -1, height, width)


class Shuffle(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride = stride
        half = outputs // 2
        if stride > 1:
            self.left = nn.Sequential(
                unit(inputs, inputs, 3, None, stride, inputs),
                unit(inputs, half, 1, nn.ReLU),
            )
        inside = inputs if stride > 1 else half
        self.right = nn.Sequential(
            unit(inside, half, 1, nn.ReLU),
            unit(half, half, 3, None, stride, half),
            unit(half, half, 1, nn.ReLU),
        )

    def forward(self, x):
        if self.stride == 1:
            left, right = x.chunk(2, dim=1)
            return shuffle(torch.cat((left, self.right(right)), 1), 2)
        return shuffle(torch.cat((self.left(x), self.right(x)), 1), 2)


class Shufflenetv2(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            unit(3, 4, 3, nn.ReLU, 2),
            nn.MaxPool2d(3, 2, 1),
            Shuffle(4, 8, 2),
            Shuffle(8, 8, 1),
            unit(8, 10, 1, nn.ReLU),
        )
        self.fc = nn.Linear(10, 3)

    def forward(self, x):
        return self.fc(self.features(x).mean([2, 3]))


class Siamese(nn.Module):
    """One tower: both sides of a pair run through it as rows of a batch."""

    def __init__(self, length):
        super().__init__()
        self.length = length
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2), nn.GroupNorm(2, 6), nn.LeakyReLU(0.1),
            nn.Conv2d(6, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.Tanh(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 2 * 2, 5),
        )

    def forward(self, x):
        return self.length(self.features(x))


def divided_by_norm(x):
    return x / x.norm(dim=1, keepdim=True)


class Gate(nn.Module):
    """Squeeze and excite with linear layers, as many write it."""

    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, 3)
        self.fc2 = nn.Linear(3, channels)

    def forward(self, x):
        batch, channels = x.shape[:2]
        y = F.adaptive_avg_pool2d(x, 1).view(batch, channels)
        y = torch.sigmoid(self.fc2(torch.relu(self.fc1(y))))
        return x * y.view(batch, channels, 1, 1)


class Mixed(nn.Module):
    """What no other has."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, dilation=2)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.pool1 = nn.AvgPool2d(3, 2, 1)
        self.pool2 = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.gate = Gate(8)
        self.fc1 = nn.Linear(8 * 4 * 4, 7)
        self.norm = nn.BatchNorm1d(7)
        self.fc2 = nn.Linear(7 + 3, 3)

    def forward(self, x):
        x = F.silu(self.conv1(x))
        x = self.pool1(self.gate(self.conv2(x)))
        a, b, c = torch.split(self.pool2(x), [3, 4, 1], dim=1)
        x = torch.cat([c, a.clamp(min=0), F.relu6(b)], 1)
        x = self.norm(self.fc1(torch.flatten(x, 1)))
        return self.fc2(torch.cat([torch.sigmoid(x), x[:, 2:5]], 1))


class Lenet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 3, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(4 * 2 * 2, 8), nn.ReLU(), nn.Linear(8, 3),
        )


def randomise(model):
    """As after training: no two batch norms alike."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, (nn.modules.batchnorm._BatchNorm,
                               nn.GroupNorm, nn.InstanceNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)


def save_outputs(name, model, x):
    with torch.no_grad():
        numbers = torch.cat([x.permute(0, 2, 3, 1).flatten(),
                             model(x).flatten()])
    (FOLDER / f"{name}.f32").write_bytes(numbers.numpy().tobytes())


def export(name, model, x, opset, dynamic, **options):
    torch.onnx.export(
        model, x, FOLDER / f"{name}.onnx", opset_version=opset,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch"}} if dynamic else None, **options)


def make(name, model, channels=3, size=12):
    torch.manual_seed(11)
    model = model()
    randomise(model)
    model.eval()
    x = torch.rand(ROWS, channels, size, size + 1 if channels == 3 else size)
    save_outputs(name, model, x)
    export(f"{name}-11", model, x, 11, True, **KEEP)
    export(f"{name}-13", model, x, 13, False)
    export(f"{name}-17", model, x, 17, True, **KEEP)
    return model, x


def main():
    make("lenet", Lenet, 1, 16)
    resnet, x = make("resnet8", Resnet8)
    export("resnet8-training", resnet, x, 17, True, do_constant_folding=False,
           training=torch.onnx.TrainingMode.TRAINING)
    # Exporting in training mode has moved the statistics.
    save_outputs("resnet8-training", resnet.eval(), x)
    make("resnet18", Resnet18, size=20)
    make("mobilenetv2", Mobilenetv2)
    make("mobilenetv3", lambda: Mobilenetv3(False))
    make("mobilenetv3-old", lambda: Mobilenetv3(True))
    make("shufflenetv2", Shufflenetv2, size=15)
    make("siamese", lambda: Siamese(F.normalize), size=15)
    make("siamese-norm", lambda: Siamese(divided_by_norm), size=15)
    make("mixed", Mixed, size=11)

    # Before training all batch norms are alike: PyTorch writes one.
    torch.manual_seed(11)
    fresh = Resnet8().eval()
    x = torch.rand(ROWS, 3, 12, 13)
    save_outputs("fresh", fresh, x)
    export("fresh", fresh, x, 17, True, **KEEP)


main()
