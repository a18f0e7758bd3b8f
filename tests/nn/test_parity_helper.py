"""The parity check itself must be able to fail."""

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.tanh() * 0,
        lambda x: -x.tanh(),
        lambda x: x.tanh() * (1 + 1e-9),
        lambda x: x.tanh().detach() + (x - x),
        lambda x: x.tanh().reshape(-1),
    ],
    ids=["zeros", "sign", "scale", "gradient", "shape"],
)
def test_a_wrong_answer_is_caught(assert_parity, rng, wrong):
    x = rng.normal(size=(3, 4))
    assert_parity(lambda x: x.tanh(), torch.tanh, x)
    with pytest.raises(AssertionError):
        assert_parity(wrong, torch.tanh, x)
