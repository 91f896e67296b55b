#!/usr/bin/env bash
# Training on machines that are reached by ssh:  ssh.sh RUN MACHINE MACHINE …
# The run and the environment have the same paths on each; RUN is on a file system that all share.
# PROCESSES on each machine (2), PORT of the first (29500), BIN: the environment's programs.
set -euo pipefail
run=$1
shift
machines=("$@")
processes=${PROCESSES:-2}
port=${PORT:-29500}
bin=${BIN:-$(dirname "$(command -v torchrun)")}
pids=()

# -tt: when this script is interrupted, so is what it started.
for number in "${!machines[@]}"; do
  ssh -tt "${machines[$number]}" \
    "PATH=$(printf %q "$bin"):\$PATH exec torchrun --nnodes ${#machines[@]} --node-rank $number \
    --nproc-per-node $processes --master-addr ${machines[0]} --master-port $port \
    -m -- cllm4rec train --run $(printf %q "$run")" </dev/null &
  pids+=($!)
done
status=0
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
exit "$status"
