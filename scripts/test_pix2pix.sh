#!/usr/bin/env bash
# The test images of facades, with the weights of train_pix2pix.sh.
set -ex
python test.py --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix --netG unet_256 --direction BtoA --dataset_mode aligned --norm batch "$@"
