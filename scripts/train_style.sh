#!/usr/bin/env bash
# A network that paints any photograph in the style of one picture: photographs in
# ./datasets/photos, the picture ./datasets/style.jpg.
set -ex
python train.py --dataroot ./datasets/photos --style_image ./datasets/style.jpg --name style --model style "$@"
