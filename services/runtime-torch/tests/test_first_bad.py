import torch
from torch import nn

from runtime_torch.runs.first_bad import bad_gradient, bad_output, bad_weight


def layers() -> list[nn.Linear]:
    torch.manual_seed(1)
    return [nn.Linear(3, 3) for _ in range(3)]


def test_a_weight_is_named_before_what_follows_from_it():
    chain = layers()
    model = nn.Sequential(*chain)
    assert bad_weight(model) is None
    chain[1].bias.data[0] = float("inf")
    assert bad_weight(model) == "the weight 1.bias"


def test_a_layer_is_named_whose_output_is_the_first_to_go_bad():
    chain = layers()
    model = nn.Sequential(*chain)
    assert bad_output(model, lambda: model(torch.ones(2, 3))) is None
    chain[1].weight.data.fill_(3e38)
    chain[0].bias.data.fill_(9)
    assert bad_output(model, lambda: model(torch.ones(2, 3))) == "the output of 1"
    assert not any(module._forward_hooks for module in model.modules())  # pyright: ignore[reportPrivateUsage]


def test_of_gradients_the_one_is_named_that_the_way_back_met_first():
    chain = layers()
    model = nn.Sequential(*chain)
    model(torch.ones(2, 3)).sum().backward()
    assert bad_gradient(model) is None
    for layer in chain[:2]:
        layer.weight.grad = torch.full_like(layer.weight, float("nan"))
    assert bad_gradient(model) == "the gradient of 1.weight"
