#!/usr/bin/env bash
# CycleGAN on maps: aerial photographs and maps, unpaired.
set -ex
python train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --pool_size 50 --no_dropout "$@"
