#!/usr/bin/env bash
# Weights of pix2pix, into ./checkpoints/NAME_pretrained. Flags of util.get_data may follow the name.
set -e
if [ -z "$1" ]; then
  echo "usage: bash scripts/download_pix2pix_model.sh NAME (python -m util.get_data --help has the names)" >&2
  exit 2
fi
python -m util.get_data pix2pix "$1" --model "${@:2}"
