from copy import deepcopy

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from runtime_torch.tunings.low_rank import add_in_one_product


def adapted(config: LoraConfig, inputs: int, outputs: int, bias: bool) -> PeftModel:
    torch.manual_seed(0)
    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(inputs, outputs, bias=bias)), config)  # type: ignore[arg-type]
    assert isinstance(model, PeftModel)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter)
    return model


def passed(model: PeftModel, x: torch.Tensor) -> list[torch.Tensor]:
    """The output, and the gradients of all that has some."""
    x = x.clone().requires_grad_()
    torch.manual_seed(1)  # of dropout
    output = model(x)
    output.square().sum().backward()
    trained = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    found = [output.detach(), x.grad, *trained]
    return [tensor for tensor in found if tensor is not None]


@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 7, 5), (3, 4, 5), (6, 5)])
@pytest.mark.parametrize(("outputs", "rank", "bias"), [(9, 2, False), (3, 4, True), (1, 1, False)])
@pytest.mark.parametrize(("dropout", "rslora"), [(0.0, False), (0.5, True)])
def test_outputs_and_gradients_are_those_of_peft(
    shape: tuple[int, ...], outputs: int, rank: int, bias: bool, dropout: float, rslora: bool
):
    config = LoraConfig(r=rank, lora_alpha=3, target_modules=["0"], lora_dropout=dropout, use_rslora=rslora)
    theirs = adapted(config, shape[-1], outputs, bias)
    ours = deepcopy(theirs)
    add_in_one_product(ours)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    expected, found = passed(theirs, x), passed(ours, x)
    assert len(found) == 4
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert ours.base_model.model[0].lora_variant, "else PEFT is compared with itself"  # type: ignore[index,union-attr]


def test_dora_keeps_its_own_way():
    model = adapted(LoraConfig(r=2, target_modules=["0"], use_dora=True), 5, 9, False)
    before = dict(model.base_model.model[0].lora_variant)  # type: ignore[index,union-attr,arg-type]
    add_in_one_product(model)
    assert model.base_model.model[0].lora_variant == before  # type: ignore[index,union-attr]
