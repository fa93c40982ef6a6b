#!/bin/sh
# Clears bed N of hosts, whose files are in DIR: ends all its processes, and takes away its namespaces,
# mounts, control groups and files. Says what it could not.  Usage: hosts_clear.sh N DIR
n=$1 dir=$2

ip link delete "berth-$n" 2>/dev/null # It may not be there yet.
spaces=$(ip netns list | cut -d' ' -f1 | grep "^berth-$n-")
# One, or one for each controller, as version 1 has them.
groups=$(find /sys/fs/cgroup -maxdepth 2 -type d -name "berth-$n-hosts")

# Containers are in namespaces of their own; they are found by their control group.
processes() {
  for space in $spaces; do ip netns pids "$space"; done
  for group in $groups; do find "$group" -name cgroup.procs -exec cat {} +; done
}
tries=0
while pids=$(processes | grep -v '^0$') && [ -n "$pids" ]; do
  # shellcheck disable=SC2086 # a list
  kill -9 $pids 2>/dev/null
  tries=$((tries + 1))
  if [ "$tries" = 100 ]; then
    echo "these do not end: $pids" >&2
    exit 1
  fi
  sleep 0.05
done

for space in $spaces; do ip netns delete "$space"; done
cut -d' ' -f2 /proc/mounts | grep "^$dir/" | sort -r | while read -r path; do
  umount --lazy "$path"
done
for group in $groups; do find "$group" -depth -type d -exec rmdir {} \;; done
rm -rf "$dir"
