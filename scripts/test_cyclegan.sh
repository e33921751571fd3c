#!/usr/bin/env bash
# The test images of maps in both directions, with the weights of train_cyclegan.sh.
set -ex
python test.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --phase test --no_dropout "$@"
