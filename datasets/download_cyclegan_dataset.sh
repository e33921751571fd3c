#!/usr/bin/env bash
# A data set of cyclegan, into ./datasets/NAME. Flags of util.get_data may follow the name.
set -e
if [ -z "$1" ]; then
  echo "usage: bash datasets/download_cyclegan_dataset.sh NAME (python -m util.get_data --help has the names)" >&2
  exit 2
fi
python -m util.get_data cyclegan "$1" "${@:2}"
