"""Fit a sine from noisy samples; put `torch` for `tinygrad_lessons` and it runs on PyTorch.

python examples/sine_regression.py
"""

import tinygrad_lessons as torch
from tinygrad_lessons import nn
from tinygrad_lessons.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
x = torch.linspace(-3, 3, 400).unsqueeze(1)
y = torch.sin(x) + 0.1 * torch.randn(400, 1)
train, test = random_split(TensorDataset(x, y), [300, 100])


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(1, width)
        self.outer = nn.Linear(width, 1)

    def forward(self, x):
        return self.outer(torch.tanh(self.inner(x)))


net = Net(width=32)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for _ in range(100):
    for inputs, targets in DataLoader(train, batch_size=50, shuffle=True):
        loss = nn.functional.mse_loss(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

with torch.no_grad():
    inputs, targets = next(iter(DataLoader(test, batch_size=len(test))))
    error = nn.functional.mse_loss(net(inputs), targets).sqrt().item()
print(f"test error {error:.3f}, of which 0.100 is noise")
