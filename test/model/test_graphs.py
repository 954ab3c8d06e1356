"""The network in tensors of fixed size is the network, and as CUDA graphs it still is."""

import copy
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mapt_ros.model.graphs import FrameGraphs, look
from mapt_ros.model.inference import cast_weights, fold_batch_norm
from mapt_ros.model.mapt import MAPT, FrameState

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def pictures(seed: int, count: int = 1, size: tuple[int, int] = (90, 150)) -> list:
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=random).numpy() for _ in range(count)]


def previous_of(network, images, masks: int = 2) -> list:
    """What frames of these pictures leave, with soft masks at will."""
    with torch.inference_mode():
        seen = network.perceive(network.prepare([torch.from_numpy(image) for image in images]))
    random = torch.Generator().manual_seed(3)
    return [
        FrameState(s, torch.rand(masks, *s.shape[-2:], generator=random).to(s.device)) for s in seen.semantic.clone()
    ]


def assert_is_what_the_network_says(network, graphs, images, previous, atol=1e-4):
    sight = graphs(images, previous, True)
    with torch.inference_mode():
        wanted = network(network.prepare([torch.from_numpy(image) for image in images]), previous)
    told = sight.told.cpu().numpy()
    assert told[..., 6].all()
    for i, one in enumerate(wanted):
        found = sight.detections_of(i, told[i], 0.0)
        torch.testing.assert_close(sight.semantic[i], one.semantic, atol=atol, rtol=1e-3)
        torch.testing.assert_close(sight.semantic_logits[i], one.semantic_logits, atol=atol, rtol=1e-3)
        assert len(found) == len(one.detections) > 0
        torch.testing.assert_close(found.boxes, one.detections.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(found.embeddings, one.detections.embeddings, atol=1e-3, rtol=0)
        if previous[i] is not None:
            with torch.inference_mode():
                moved = network.motion.propagate_masks(sight.field.of(i), previous[i].masks)
            torch.testing.assert_close(moved, one.propagated_masks, atol=1e-3, rtol=0)


def test_with_without_and_with_some_predecessors(tiny_network):
    graphs = FrameGraphs(tiny_network, None)
    first, second = pictures(0, 2), pictures(1, 2)
    left, right = previous_of(tiny_network, first)
    for previous in ([None, None], [left, right], [None, right], [left, None]):
        assert_is_what_the_network_says(tiny_network, graphs, second, previous)


def test_what_the_semantic_head_saw_reaches_the_things_in_both_ways(tiny_config):
    config = tiny_config.model_copy(
        update={"instance": tiny_config.instance.model_copy(update={"semantic_context": True})}
    )
    torch.manual_seed(0)
    network = MAPT(config).eval()
    images, graphs = pictures(0), FrameGraphs(network, None)
    before = graphs(images, [None], True).told.clone()
    for layer in network.context.project.values():
        torch.nn.init.normal_(layer.weight)
    assert_is_what_the_network_says(network, graphs, images, [None])
    assert not torch.allclose(graphs(images, [None], True).told, before)


class Watcher(TorchDispatchMode):
    """Notes work that a graph would not repeat, and work that would wait for the device or copy from the host."""

    def __init__(self):
        super().__init__()
        self.stage = None
        self.outside, self.waiting = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if self.stage is None and not func.is_view:
            self.outside.append(name)
        if any(part in name for part in ("local_scalar", "item", "nonzero", "lift_fresh", "masked_select", "bincount")):
            self.waiting.append(name)
        if "aten.index." in name and any(t is not None and t.dtype == torch.bool for t in args[1]):
            self.waiting.append(name)
        return func(*args, **(kwargs or {}))

    @contextmanager
    def __call__(self, stage):
        self.stage = stage
        yield
        self.stage = None


@torch.inference_mode()
def test_all_work_of_a_frame_can_be_captured(tiny_network):
    images = torch.stack([torch.from_numpy(image) for image in pictures(0, 2)])
    arguments = images, torch.zeros(2, 16, 24, 40), torch.ones(2), True
    look(tiny_network, *arguments)  # constants are made
    tiny_network.clock = watcher = Watcher()
    with watcher:
        look(tiny_network, *arguments)
    assert watcher.outside == [] and watcher.waiting == []


@needs_cuda
def test_graphs_are_the_network_over_frames_sizes_and_cameras(tiny_network):
    network = fold_batch_norm(tiny_network).cuda()
    graphs = FrameGraphs(network, None)
    for size, cameras in [((90, 150), 1), ((64, 96), 2), ((90, 150), 1), ((90, 150), 3)]:
        before = previous_of(network, pictures(9, cameras, size))
        for seed in range(3):
            previous = before if seed else [None] * cameras
            assert_is_what_the_network_says(network, graphs, pictures(seed, cameras, size), previous, atol=1e-2)
    assert graphs.capturing


@needs_cuda
def test_two_sets_of_graphs_do_not_disturb_each_other(tiny_network):
    networks = [fold_batch_norm(copy.deepcopy(tiny_network)).cuda() for _ in range(2)]
    torch.nn.init.normal_(networks[1].semantic.classifier.weight)
    both = [FrameGraphs(network, None) for network in networks]
    for seed in range(3):
        for network, graphs in zip(networks, both):
            assert_is_what_the_network_says(network, graphs, pictures(seed), [None], atol=1e-2)


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_near(tiny_network, dtype):
    single = fold_batch_norm(copy.deepcopy(tiny_network)).cuda()
    half = FrameGraphs(cast_weights(fold_batch_norm(tiny_network).cuda(), dtype), dtype)
    exact = FrameGraphs(single, None)
    image = pictures(0)
    got, wanted = (graphs(image, [None], True).semantic_logits.float() for graphs in (half, exact))
    assert half.capturing and exact.capturing
    assert (got - wanted).abs().max() < 0.05 * wanted.abs().max()


@needs_cuda
def test_a_capture_that_fails_is_logged_and_frames_go_on(tiny_network, caplog):
    network = fold_batch_norm(tiny_network).cuda()
    graphs = FrameGraphs(network, None)

    def waiting(head, *arguments):
        from mapt_ros.model.fixed import find

        found = find(head, *arguments)
        assert found.scores.sum().item() == found.scores.sum().item()  # no graph can wait for the device
        return found

    graphs.finder = waiting
    assert_is_what_the_network_says(network, graphs, pictures(0), [None], atol=1e-2)
    assert not graphs.capturing and len(caplog.records) == 1 and "CUDA graphs are off" in caplog.text
