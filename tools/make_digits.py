"""Make the digits file that ships with the package, from scikit-learn's copy of the data.

    pip install scikit-learn && python tools/make_digits.py

Writes tinygrad_lessons/datasets/digits.npz and prints its SHA-256, which belongs into
tinygrad_lessons/datasets/digits.py.

Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0. These are its 1,797 test
images; the values are unchanged, only packed as bytes.
"""

import hashlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

OUT = Path(__file__).parents[1] / "tinygrad_lessons" / "datasets" / "digits.npz"


def main():
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    if not (images == bunch.images).all() or images.shape != (1797, 8, 8) or images.max() != 16:
        raise SystemExit("make_digits: the images are not 1,797 of 8x8 whole numbers from 0 to 16")
    np.savez_compressed(OUT, images=images, labels=labels)
    data = OUT.read_bytes()
    print(f"{OUT}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
