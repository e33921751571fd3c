"""Train pix2pix or CycleGAN, as a textbook would."""

import os
import time

import torch

from data import create_dataset
from models import create_model
from options.train_options import TrainOptions


def main() -> None:
    opt = TrainOptions().parse()
    dataset = create_dataset(opt)
    print(f"The number of training images = {len(dataset) * opt.batch_size}")
    model = create_model(opt)
    folder = os.path.join(opt.checkpoints_dir, opt.name)
    os.makedirs(folder, exist_ok=True)
    total_iters = 0
    for epoch in range(1, opt.n_epochs + opt.n_epochs_decay + 1):
        began = asked = time.time()
        epoch_iter = 0
        for batch in dataset:
            started = time.time()
            waited = started - asked
            total_iters += opt.batch_size
            epoch_iter += opt.batch_size
            model.set_input(batch)
            model.optimize_parameters()
            if total_iters % opt.print_freq == 0:
                losses = model.get_current_losses()
                took = (time.time() - started) / opt.batch_size
                line = (f"(epoch: {epoch}, iters: {epoch_iter}, time: {took:.3f}, "
                        f"data: {waited:.3f}) ")  # fmt: skip
                line += " ".join(f"{name}: {value:.3f}" for name, value in losses.items())
                print(line)
                with open(os.path.join(folder, "loss_log.txt"), "a") as log:
                    log.write(line + "\n")
            asked = time.time()
        for name, net in model.networks().items():
            torch.save(net.state_dict(), os.path.join(folder, f"latest_net_{name}.pth"))
        total = opt.n_epochs + opt.n_epochs_decay
        print(f"End of epoch {epoch} / {total} \t Time Taken: {time.time() - began:.0f} sec")


if __name__ == "__main__":
    main()
