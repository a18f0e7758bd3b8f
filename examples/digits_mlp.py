"""Handwritten digits with the training loop that every PyTorch user knows.

python examples/digits_mlp.py
"""

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.datasets import Digits
from tinygrad_lessons.utils.data import DataLoader

tg.manual_seed(0)
train_loader = DataLoader(Digits("train"), batch_size=32, shuffle=True)
test_loader = DataLoader(Digits("test"), batch_size=256)

model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(20):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()

    model.eval()
    with tg.no_grad():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"epoch {epoch + 1}: test accuracy {100 * hits / len(test_loader.dataset):.1f} %")
