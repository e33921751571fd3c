#!/usr/bin/env bash
# A folder of single images through one generator, with the weights of train_pix2pix.sh.
set -ex
python test.py --dataroot ./datasets/facades/testB/ --name facades_pix2pix --model test --netG unet_256 --direction BtoA --dataset_mode single --norm batch "$@"
