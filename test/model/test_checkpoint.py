"""Checkpoints come back bit by bit, and a wrong file is one clear line."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from mapt_ros.errors import InputError
from mapt_ros.model.checkpoint import find_weights, grow_checkpoint, load_checkpoint, read_header, save_checkpoint


@pytest.fixture
def saved(tiny_network, tmp_path):
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, tiny_network, tracker={"max_age": 3}, facts={"steps": 7})
    return path


def refusal(call) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def resave(path, *, change=None, metadata=None):
    """Writes the same file again with other tensors or another header."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    if change:
        change(tensors)
    save_file(tensors, path, metadata=metadata(header) if metadata else header)


def test_weights_come_back_bit_by_bit(tiny_network, saved):
    model, header = load_checkpoint(saved)
    assert not model.training
    assert header.model == tiny_network.config and header.tracker == {"max_age": 3} and header.facts == {"steps": 7}
    wanted = tiny_network.state_dict()
    assert model.state_dict().keys() == wanted.keys()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in model.state_dict().items())


def test_half_precision_halves_the_file_and_loads_as_float32(tiny_network, saved, tmp_path):
    half = tmp_path / "half.safetensors"
    save_checkpoint(half, tiny_network, half=True)
    assert half.stat().st_size < 0.6 * saved.stat().st_size
    weight = load_checkpoint(half)[0].fpn.outputs[0][0].weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, tiny_network.fpn.outputs[0][0].weight.half().float())


def test_another_config_is_refused_with_the_setting_that_differs(tiny_config, saved):
    other = tiny_config.model_copy(update={"fpn_channels": 32})
    assert "fpn_channels is 16 in the file, 32 in the config" in refusal(lambda: load_checkpoint(saved, other))
    motion = tiny_config.motion.model_copy(update={"stride": 8})
    other = tiny_config.model_copy(update={"motion": motion})
    assert "motion.stride is 4 in the file, 8 in the config" in refusal(lambda: load_checkpoint(saved, other))


def larger(config, **changes):
    semantic = config.semantic.model_copy(update={"detail_channels": 8, "blocks": 1})
    return config.model_copy(update={"name": "larger", "semantic": semantic, "fpn_blocks": (1, 0, 2, 0)} | changes)


def test_a_larger_network_begins_with_a_smaller_ones_weights_and_says_the_same(tiny_config, tiny_network, saved):
    model, differences = grow_checkpoint(saved, larger(tiny_config))
    assert differences == [
        "fpn_blocks is (0, 0, 0, 0) in the file, (1, 0, 2, 0) in the config",
        "semantic.detail_channels is 0 in the file, 8 in the config",
        "semantic.blocks is 0 in the file, 1 in the config",
    ]
    assert model.config.fpn_blocks == (1, 0, 2, 0) and not model.training
    grown = model.state_dict()
    assert all(torch.equal(tensor, grown[name]) for name, tensor in tiny_network.state_dict().items())
    batch = tiny_network.prepare([torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8)])
    with torch.inference_mode():
        before, after = (network(batch, [None])[0] for network in (tiny_network, model))
    assert torch.equal(before.semantic_logits, after.semantic_logits)
    assert torch.equal(before.detections.boxes, after.detections.boxes)


def test_a_setting_that_gives_weights_another_meaning_is_told_when_growing(tiny_config, saved):
    motion = tiny_config.motion.model_copy(update={"stride": 8})
    differences = grow_checkpoint(saved, larger(tiny_config, motion=motion))[1]
    assert "motion.stride is 4 in the file, 8 in the config" in differences


def test_a_network_that_lacks_or_reshapes_what_the_file_has_is_no_larger_one(tiny_config, saved, tmp_path):
    message = refusal(lambda: grow_checkpoint(saved, larger(tiny_config, fpn_channels=32)))
    assert "(16," in message and "fpn_channels is 16 in the file, 32 in the config" in message
    grown = tmp_path / "grown.safetensors"
    save_checkpoint(grown, grow_checkpoint(saved, larger(tiny_config))[0])
    message = refusal(lambda: grow_checkpoint(grown, tiny_config))
    assert "tensor 'fpn.blocks.0.0." in message and "not in the config" in message
    assert str(saved) in refusal(lambda: load_checkpoint(saved, larger(tiny_config)))  # not without being asked


def test_what_no_weight_depends_on_may_be_chosen_anew(tiny_config, saved):
    head = tiny_config.instance.model_copy(update={"detections": 3})
    other = tiny_config.model_copy(update={"input_height": 64, "instance": head})
    assert load_checkpoint(saved, other)[0].config == other


def test_weights_that_are_not_numbers_are_refused(saved):
    resave(saved, change=lambda tensors: tensors["motion.mask_kernels"].fill_(float("nan")))
    assert "'motion.mask_kernels' holds values that are not finite" in refusal(lambda: load_checkpoint(saved))


def test_a_header_section_that_is_no_mapping_is_refused(saved):
    resave(saved, metadata=lambda header: header | {"tracker": "[1]"})
    assert "tracker is no mapping" in refusal(lambda: read_header(saved))


def test_a_missing_tensor_is_named(saved):
    resave(saved, change=lambda tensors: tensors.pop("motion.mask_kernels"))
    assert "tensor 'motion.mask_kernels' is missing" in refusal(lambda: load_checkpoint(saved))


def test_an_unexpected_tensor_is_named(saved):
    resave(saved, change=lambda tensors: tensors.update(extra=torch.zeros(1)))
    assert "tensor 'extra' does not belong" in refusal(lambda: load_checkpoint(saved))


def test_a_wrong_shape_is_named(saved):
    resave(saved, change=lambda tensors: tensors.update({"motion.mask_kernels": torch.zeros(2, 3, 3)}))
    assert "shape (2, 3, 3)" in refusal(lambda: load_checkpoint(saved))


def test_an_unknown_key_in_the_header_is_named(saved):
    def add_key(header):
        return header | {"model": json.dumps(json.loads(header["model"]) | {"wings": 2})}

    resave(saved, metadata=add_key)
    assert "unknown key 'wings'" in refusal(lambda: read_header(saved))


def test_files_that_are_no_checkpoint(tmp_path, saved):
    assert "no such weights file" in refusal(lambda: load_checkpoint(tmp_path / "none.safetensors"))
    (tmp_path / "text.safetensors").write_text("not tensors")
    assert "not a readable safetensors file" in refusal(lambda: load_checkpoint(tmp_path / "text.safetensors"))
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    assert "not a mapt_ros checkpoint" in refusal(lambda: load_checkpoint(tmp_path / "foreign.safetensors"))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-1000])
    assert str(cut) in refusal(lambda: load_checkpoint(cut))


def test_a_name_that_is_not_bundled_says_what_there_is(tmp_path):
    assert "bundled are" in refusal(lambda: find_weights("no-such-weights"))
    assert find_weights(tmp_path / "mine.safetensors") == tmp_path / "mine.safetensors"


def test_weights_may_be_read_by_whom_the_mask_of_the_process_lets(tiny_network, tmp_path):
    before = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "shared.safetensors", tiny_network)
    finally:
        os.umask(before)
    assert (tmp_path / "shared.safetensors").stat().st_mode & 0o777 == 0o644


def test_nothing_is_left_beside_a_checkpoint_that_could_not_be_written(tiny_network, tmp_path):
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "w.safetensors", tiny_network, facts={"not": object()})
    assert list(tmp_path.iterdir()) == []
