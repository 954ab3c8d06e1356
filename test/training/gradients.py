"""A process of ``test_distributed.py``: writes the gradients of one step of a recipe's every stage.

Usage: gradients.py RECIPE OUT, alone or under torchrun; rank 0 writes OUT.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from mapt_ros.training.distributed import joined
from mapt_ros.training.loader import batches
from mapt_ros.training.loop import Trainer
from mapt_ros.training.recipe import load_recipe

with joined("cpu") as processes:
    recipe = load_recipe(sys.argv[1])
    trainer = Trainer(recipe, "test", Path(sys.argv[2]).parent, processes)
    torch.manual_seed(1)
    with torch.no_grad():  # offsets that start at zero let nothing through to what is before them
        for conv in (*trainer.model.motion.offset_convs, trainer.model.motion.scale_attention):
            conv.weight.normal_(std=0.05)
    trainer._train_mode()
    gradients = {}
    for index, stage in enumerate(recipe.stages):
        batch = next(batches(trainer.stages.samples(index), stage, 0, processes.rank, processes.world, 0))
        losses = trainer.losses(batch)
        trainer.optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        values = processes.sum([value.item() for value in losses.values()])
        gradients[f"{index}.losses"] = torch.tensor(values, dtype=torch.float64) / processes.world
        for name, parameter in trainer.model.named_parameters():
            if parameter.grad is not None:
                gradients[f"{index}.{name}"] = parameter.grad.contiguous()
    if processes.first:
        save_file(gradients, sys.argv[2])
