#!/usr/bin/env bash
# The test photographs, with the weights of train_colorization.sh.
set -ex
python test.py --dataroot ./datasets/colorization --name color_pix2pix --model colorization "$@"
