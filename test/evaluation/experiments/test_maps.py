"""Sparse passes are judged in pieces that are no shorter than the others'."""

import pytest

from mapt_ros.evaluation.experiments.maps import piece_of


@pytest.mark.parametrize("frames", [16, 20, 24, 41])
def test_all_passes_fall_into_pieces_of_about_one_length(frames):
    least = frames // 8
    for every in range(1, 9):
        for phase in range(every):
            pieces = [piece_of(i, frames, every, least) for i in range(phase, frames, every)]
            lengths = [pieces.count(piece) for piece in sorted(set(pieces))]
            assert pieces == sorted(pieces) and sorted(set(pieces)) == list(range(len(lengths)))
            assert max(lengths) - min(lengths) <= 1
            assert min(lengths) >= least and max(lengths) < 2 * least


def test_a_pass_with_too_few_frames_is_one_piece():
    assert [piece_of(i, 3, 2, 2) for i in range(3)] == [0, 0, 0]
