#!/usr/bin/env bash
# Two hosts on one machine: two network namespaces, joined by a cable and nothing else.
# Trains a prepared run on both, two processes each. Needs root and iproute2.
#
#   two-namespaces.sh RUN [SECONDS]
#
# With SECONDS, a process of the second host is killed after so long: all end, with one line.
set -euo pipefail
run=$1
kill_after_s=${2:-}
first=10.77.0.1
pids=()

# shellcheck disable=SC2329  # the trap calls it
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait || true
  ip netns del cllm4rec-a 2>/dev/null || true
  ip netns del cllm4rec-b 2>/dev/null || true
}
trap cleanup EXIT

ip netns add cllm4rec-a
ip netns add cllm4rec-b
ip link add cable-a type veth peer name cable-b
for host in a b; do
  ip link set "cable-$host" netns "cllm4rec-$host"
  ip -n "cllm4rec-$host" link set lo up
done
ip -n cllm4rec-a address add $first/24 dev cable-a
ip -n cllm4rec-b address add 10.77.0.2/24 dev cable-b
ip -n cllm4rec-a link set cable-a up
ip -n cllm4rec-b link set cable-b up

host() { # number, letter: one host's torchrun
  exec ip netns exec "cllm4rec-$2" env GLOO_SOCKET_IFNAME="cable-$2" OMP_NUM_THREADS=1 \
    torchrun --nnodes 2 --node-rank "$1" --nproc-per-node 2 \
    --master-addr $first --master-port 29500 \
    -m -- cllm4rec train --run "$run" --json
}

host 0 a &
pids+=($!)
host 1 b &
pids+=($!)
if [ -n "$kill_after_s" ]; then
  sleep "$kill_after_s"
  victim=$(pgrep -P "${pids[1]}" | tail -1)
  echo "$(date +%T) kill -9 $victim, a process of the second host"
  kill -9 "$victim"
fi
status=0
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
echo "$(date +%T) both hosts have ended, status $status"
exit "$status"
