#!/usr/bin/env bash
# pix2pix on facades: label maps (right half) to photographs (left half).
set -ex
python train.py --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix --netG unet_256 --direction BtoA --lambda_L1 100 --dataset_mode aligned --norm batch --pool_size 0 "$@"
