import torch
from torch.nn.functional import cross_entropy

from runtime_torch.devices.memory_plan import CHUNK_POSITIONS
from runtime_torch.models.head import score_tokens, summed_loss, token_losses

POSITIONS = CHUNK_POSITIONS + 37


def test_loss_and_gradients_are_those_of_the_whole_logits_at_once():
    torch.manual_seed(0)
    labels = torch.randint(50, (POSITIONS,))
    hidden, weight = torch.randn(POSITIONS, 16), torch.randn(50, 16)
    results: list[tuple[torch.Tensor, ...]] = []
    for chunked in (True, False):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = summed_loss(h, w, labels) if chunked else cross_entropy(h @ w.T, labels, reduction="sum")
        (loss * 0.25).backward()
        assert h.grad is not None and w.grad is not None
        results.append((loss.detach().double(), h.grad, w.grad))
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-4)


def test_a_frozen_head_gets_no_gradient():
    weight = torch.randn(5, 4)
    hidden = torch.randn(3, 4, requires_grad=True)
    summed_loss(hidden, weight, torch.tensor([0, 1, 2])).backward()
    assert hidden.grad is not None and weight.grad is None


def test_scores_count_how_often_the_likeliest_token_is_right():
    weight = torch.eye(4)
    hidden = torch.tensor([[9.0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0]])
    found = score_tokens(hidden, weight, torch.tensor([0, 1, 3]))
    assert found.correct.tolist() == [True, True, False]
    torch.testing.assert_close(
        found.losses.float(), cross_entropy(hidden, torch.tensor([0, 1, 3]), reduction="none"), rtol=1e-5, atol=1e-6
    )


def test_each_token_has_a_loss_and_a_gradient_of_its_own():
    torch.manual_seed(0)
    labels, weights_of = torch.randint(50, (POSITIONS,)), torch.randn(POSITIONS, dtype=torch.float64)
    hidden, weight = torch.randn(POSITIONS, 16), torch.randn(50, 16)
    results: list[tuple[torch.Tensor, ...]] = []
    for chunked in (True, False):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        losses = token_losses(h, w, labels) if chunked else cross_entropy(h @ w.T, labels, reduction="none").double()
        (losses * weights_of).sum().backward()
        assert h.grad is not None and w.grad is not None
        results.append((losses.detach(), h.grad, w.grad))
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-4)
