"""Class biases are fitted to what the data says, and only the weights to use get them."""

import torch

from mapt_ros.data.dataset import open_dataset
from mapt_ros.training.biases import best_biases, fit_biases, mean_iou


def test_a_class_that_always_says_too_much_is_brought_down():
    torch.manual_seed(0)
    target = torch.arange(3000) % 3
    logits = torch.nn.functional.one_hot(target, 4).T + 0.1 * torch.randn(4, 3000)
    logits[1] += 1.0
    biases = best_biases(logits, target)
    assert mean_iou(logits, target) < 0.8 and mean_iou(logits + biases[:, None], target) > 0.97
    assert biases[1] < min(biases[0], biases[2]) and biases[3] == 0


def test_mean_iou_runs_over_the_classes_that_are_there():
    logits = torch.tensor([[9.0, 9, 0, 0], [0, 0, 0, 9], [0, 0, 9, 0]])
    assert mean_iou(logits, torch.tensor([0, 0, 0, 1])) == (2 / 3 + 1) / 2


def test_biases_of_a_network_undo_a_push(tiny_network, dataset_folder):
    datasets = [open_dataset(dataset_folder, "train")]
    with torch.no_grad():
        tiny_network.semantic.classifier.weight.zero_()
        tiny_network.semantic.classifier.bias.zero_()
        tiny_network.semantic.classifier.bias[7] = 0.05  # a class that no frame holds
    biases = fit_biases(tiny_network, datasets, 4)
    assert biases.shape == (19,) and (biases != 0).any()
    assert (tiny_network.semantic.classifier.bias + biases).argmax() != 7
