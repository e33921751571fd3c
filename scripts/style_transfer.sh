#!/usr/bin/env bash
# One photograph, ./datasets/content.jpg, in the style of ./datasets/style.jpg.
set -ex
python train.py --dataroot ./datasets/content.jpg --style_image ./datasets/style.jpg --name style_transfer --model neural_style "$@"
