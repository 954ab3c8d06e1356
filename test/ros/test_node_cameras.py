"""The node with several cameras, and when memory or the GPU gives out: what fails costs the others nothing."""

import torch
from diagnostic_msgs.msg import DiagnosticStatus
from mapt_ros.msg import PanopticFrame as PanopticFrameMessage

MS = 10**6
START = 1_317_046_464 * 10**9  # stamps of 2011 must not disturb anything
STAMPS = [START + i * 100 * MS for i in range(30)]


def test_several_cameras_share_one_batch_and_keep_their_own_state(bench):
    node = bench(cameras=["front", "rear"], drop_policy="none")
    rear_frames = node.listen(PanopticFrameMessage, "/mapt/rear/panoptic")
    front_frames = node.listen(PanopticFrameMessage, "/mapt/front/panoptic")
    front, rear = node.camera(topic="/front/image"), node.camera(topic="/rear/image")
    node.tracker.gate.clear()
    front.publish(node.image(STAMPS[0]))
    assert node.tracker.entered.acquire(timeout=120)
    front.publish(node.image(STAMPS[1]))
    rear.publish(node.image(STAMPS[5], height=12))
    node.wait_until(lambda: len(node.node._worker._inbox) == 2, "two images that wait")
    node.tracker.gate.set()
    node.expect(STAMPS[:2], front_frames)
    node.expect(STAMPS[5:6], rear_frames)
    assert node.tracker.batches == [1, 2]
    assert [(f.camera, f.sequence) for f in front_frames + rear_frames] == [("front", 0), ("front", 1), ("rear", 0)]


def test_image_that_fails_in_a_batch_costs_the_other_cameras_nothing(bench):
    node = bench(cameras=["front", "rear", "left"], drop_policy="none")
    names = ("front", "rear", "left")
    frames = {name: node.listen(PanopticFrameMessage, f"/mapt/{name}/panoptic") for name in names}
    cameras = {name: node.camera(topic=f"/{name}/image") for name in names}
    node.tracker.gate.clear()
    cameras["front"].publish(node.image(STAMPS[0]))
    assert node.tracker.entered.acquire(timeout=120)
    for name in names:
        cameras[name].publish(node.image(STAMPS[1], color=(255, 0, 255) if name == "rear" else (1, 2, 3)))
    node.wait_until(lambda: len(node.node._worker._inbox) == 3, "three images that wait")
    node.tracker.gate.set()
    node.expect(STAMPS[:2], frames["front"])
    node.expect(STAMPS[1:2], frames["left"])
    node.wait_until(lambda: node.diagnostic("mapt: rear", "dropped_failed") == "1", "the one image that failed")
    assert node.diagnostic("mapt: front", "dropped_failed") is None


def test_camera_that_dies_does_not_stop_the_others(bench):
    node = bench(cameras=["front", "rear"], drop_policy="none", input_timeout_s=0.1)
    rear_frames = node.listen(PanopticFrameMessage, "/mapt/rear/panoptic")
    front, rear = node.camera(topic="/front/image"), node.camera(topic="/rear/image")
    front.publish(node.image(STAMPS[0]))
    node.client.destroy_publisher(front)
    for stamp in STAMPS[:3]:
        rear.publish(node.image(stamp))
    node.expect(STAMPS[:3], rear_frames)
    node.wait_until(lambda: node.level("mapt: front") == DiagnosticStatus.ERROR, "the error of the dead camera")
    assert "(0 publishers)" in node.status("mapt: front").message


def test_memory_that_runs_out_makes_batches_smaller_and_loses_no_image_of_a_batch(bench):
    node = bench(cameras=["front", "rear"], drop_policy="none")
    frames = {name: node.listen(PanopticFrameMessage, f"/mapt/{name}/panoptic") for name in ("front", "rear")}
    cameras = {name: node.camera(topic=f"/{name}/image") for name in ("front", "rear")}
    for number in (1, 2):  # the first time the batch is too large, the second time nothing is tried that large
        node.tracker.gate.clear()
        cameras["front"].publish(node.image(STAMPS[2 * number]))
        assert node.tracker.entered.acquire(timeout=120)
        for camera in cameras.values():
            camera.publish(node.image(STAMPS[2 * number + 1]))
        node.wait_until(lambda: len(node.node._worker._inbox) == 2, "two images that wait")
        if number == 1:
            node.tracker.fails = [None, torch.OutOfMemoryError("CUDA out of memory.\nA long explanation")]
        node.tracker.gate.set()
        node.wait_until(lambda n=number: len(frames["rear"]) == n, "the rear image")
        node.wait_until(lambda n=number: len(frames["front"]) == 2 * n, "the front images")
        while node.tracker.entered.acquire(blocking=False):
            pass
    assert node.tracker.batches == [1, 2, 1, 1, 1, 1, 1]
    node.wait_until(lambda: node.diagnostic("mapt: rear", "last_error"), "the error")
    assert "a batch of 2 images failed, smaller ones now" in node.diagnostic("mapt: rear", "last_error")
    assert node.diagnostic("mapt: rear", "dropped_failed") is None


def lost_device() -> Exception:
    return torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nand advice")


def test_node_whose_gpu_is_lost_deactivates_with_the_reason(bench, capfd):
    node = bench(drop_policy="none")
    camera = node.camera()
    node.tracker.fails = [None, lost_device()]
    for stamp in STAMPS[:2]:
        camera.publish(node.image(stamp))
    node.expect(STAMPS[:1])
    node.wait_until(lambda: node.diagnostic("mapt: node state", "state") == "inactive", "the node's end of work")
    status = node.status("mapt: node state")
    assert status.level == DiagnosticStatus.ERROR
    assert "illegal memory access was encountered; this process cannot use it any more: restart" in status.message
    lines = [line for line in capfd.readouterr().err.splitlines() if "ERROR" in line]
    assert len(lines) == 1 and status.message in lines[0]


def test_node_whose_gpu_is_lost_goes_on_with_the_cpu_if_it_may(bench):
    node = bench(drop_policy="none", cpu_fallback=True, device="cuda")
    camera = node.camera()
    camera.publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])
    lost = node.tracker
    lost.fails = [lost_device()]
    camera.publish(node.image(STAMPS[1]))
    node.wait_until(lambda: node.diagnostic("mapt: node state", "device") == "cpu", "the CPU")
    node.wait_until(lambda: camera.get_subscription_count() == 1, "the node's subscription")
    node.camera().publish(node.image(STAMPS[2]))
    node.wait_until(lambda: len(node.frames) == 2, "a frame from the CPU")
    assert node.tracker is not lost and node.tracker.device == "cpu"
    assert [(frame.epoch, node.stamp_of(frame)) for frame in node.frames] == [(0, STAMPS[0]), (1, STAMPS[2])]


def test_the_same_fault_of_two_cameras_is_logged_for_both(bench, capfd):
    node = bench(cameras=["front", "rear"], drop_policy="none")
    for topic in ("/front/image", "/rear/image"):
        node.camera(topic=topic).publish(node.image(STAMPS[0], encoding="rgb9"))
    for name in ("front", "rear"):
        node.wait_until(lambda n=name: node.diagnostic(f"mapt: {n}", "dropped_encoding") == "1", f"{name}'s drop")
    lines = [line for line in capfd.readouterr().err.splitlines() if "'rgb9'" in line]
    assert sorted(line.split(": ")[1] for line in lines) == ["/front/image", "/rear/image"]
