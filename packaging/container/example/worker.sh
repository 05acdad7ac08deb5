#!/bin/sh
# Stands for a worker: does something now and then, and ends when it is told to.
trap 'echo "worker $1 ends"; exit 0' TERM
echo "worker $1 begins"
while :; do
    sleep 5 &
    wait $!
done
