"""No image is lost unless it is counted, and no restart is lost at all."""

import threading

import pytest

from mapt_ros.ros.inbox import Inbox, Waiting


def taken(inbox: Inbox) -> list[tuple[int, object, bool]]:
    return [(camera, waiting.message, waiting.restart) for camera, waiting in inbox.take()]


def test_newest_image_wins_and_the_replaced_one_is_told():
    inbox = Inbox(1, depth=1, newest_wins=True)
    assert inbox.put(0, Waiting("old")) is None
    assert inbox.put(0, Waiting("new")) == "replaced"
    assert taken(inbox) == [(0, "new", False)]


def test_queue_keeps_order_and_refuses_what_does_not_fit():
    inbox = Inbox(1, depth=2, newest_wins=False)
    assert [inbox.put(0, Waiting(name)) for name in "abc"] == [None, None, "queue_full"]
    assert taken(inbox) + taken(inbox) == [(0, "a", False), (0, "b", False)]


def test_restart_survives_the_image_that_carried_it():
    newest = Inbox(1, depth=1, newest_wins=True)
    newest.put(0, Waiting("first of the replay", restart=True))
    newest.put(0, Waiting("second"))
    assert taken(newest) == [(0, "second", True)]

    queue = Inbox(1, depth=1, newest_wins=False)
    queue.put(0, Waiting("last of the old replay"))
    assert queue.put(0, Waiting("first of the new one", restart=True)) == "queue_full"
    assert taken(queue) == [(0, "last of the old replay", False)]
    queue.put(0, Waiting("second of the new one"))
    assert taken(queue) == [(0, "second of the new one", True)]


@pytest.mark.parametrize("newest_wins", [True, False])
def test_restart_comes_after_the_images_that_arrived_before_it(newest_wins):
    inbox = Inbox(1, depth=2, newest_wins=newest_wins)
    inbox.put(0, Waiting("before"))
    inbox.restart(0)
    inbox.put(0, Waiting("after"))
    assert taken(inbox) + taken(inbox) == [(0, "before", False), (0, "after", True)]


def test_restart_needs_no_image_to_be_done():
    inbox = Inbox(2, depth=1, newest_wins=True)
    inbox.restart(1)
    assert taken(inbox) == [(1, None, True)]


def test_batch_holds_one_image_of_each_camera_that_has_one():
    inbox = Inbox(3, depth=5, newest_wins=False)
    for camera, name in ((0, "a"), (2, "c"), (0, "a2")):
        inbox.put(camera, Waiting(name))
    assert taken(inbox) == [(0, "a", False), (2, "c", False)]
    assert taken(inbox) == [(0, "a2", False)]


def test_closing_ends_a_worker_that_waits():
    inbox = Inbox(1, depth=1, newest_wins=True)
    results = []
    worker = threading.Thread(target=lambda: results.append(inbox.take()))
    worker.start()
    inbox.close()
    worker.join(10)
    assert results == [None]
