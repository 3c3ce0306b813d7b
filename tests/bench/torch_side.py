"""PyTorch's side of the training bench: told a setting on stdin, it trains and answers images a second.

The fastest PyTorch we know how to write for these networks: data as one uint8 tensor in memory, index_select,
fused optimizer, gradients set to none, and whichever of threads, layout and torch.compile measures best.
"""

import json
import os
import sys
import time

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's usual name


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Network3(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 40, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(640, 1000), nn.Linear(1000, 1000), nn.Linear(1000, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.dropout(F.relu(self.fc1(x.flatten(1))), 0.5, self.training)
        return self.fc3(F.dropout(F.relu(self.fc2(x)), 0.5, self.training))


class Side:
    def __init__(self, network, batch, threads, channels_last, compiled):
        self.batch, self.threads, self.channels_last = batch, threads, channels_last
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        lenet = network == "lenet"
        model = LeNet() if lenet else Network3()
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        settings = {"momentum": 0.9, "weight_decay": 5e-4} if lenet else {"weight_decay": 1e-4}
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True, **settings)
        criterion = nn.CrossEntropyLoss()
        self.loss = lambda x, y: criterion(model(x), y)
        if compiled:
            self.loss = torch.compile(self.loss)
        self.images = torch.randint(0, 256, (60000, 1, 28, 28), dtype=torch.uint8)
        self.labels = torch.randint(0, 10, (60000,))
        self.order, self.at, self.step = torch.randperm(60000), 0, 0
        self.total = torch.zeros(())

    def train(self, iterations):
        torch.set_num_threads(self.threads)
        started = time.perf_counter()
        for _ in range(iterations):
            if self.at + self.batch > 60000:
                self.order, self.at = torch.randperm(60000), 0
            rows = self.order[self.at : self.at + self.batch]
            self.at += self.batch
            x = self.images.index_select(0, rows).to(torch.float32).div_(256)
            if self.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            for group in self.optimizer.param_groups:
                group["lr"] = 0.01 * (1 + 1e-4 * self.step) ** -0.75
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(x, self.labels.index_select(0, rows))
            loss.backward()
            self.optimizer.step()
            self.total += loss.detach()
            self.step += 1
        float(self.total)
        return iterations * self.batch / (time.perf_counter() - started)


sides = {}
for line in sys.stdin:
    order = json.loads(line)
    key = json.dumps(order["setting"])
    try:
        if key not in sides:
            sides[key] = Side(**order["setting"])
            sides[key].train(20)
        answer = sides[key].train(order["iterations"])
    except Exception as problem:
        answer = None
        print(f"{key}: {type(problem).__name__}: {str(problem)[:200]}", file=sys.stderr)
    print(json.dumps(answer), flush=True)
