#!/bin/bash
# Run in a new Debian: installs the packages, with what they depend on, and compiles programs.
set -ex
export DEBIAN_FRONTEND=noninteractive
cd /goalloc
apt-get update -qq
apt-get install -y -qq --no-install-recommends ./*.deb
# They run without more; building needs a compiler, booting an init.
goallocd --version
goallocctl --version
id goalloc
apt-get install -y -qq --no-install-recommends gcc libc6-dev pkg-config cmake make systemd-sysv dbus
# shellcheck disable=SC2046 # they are words
gcc -Wall -Werror consumer/consumer.c $(pkg-config --cflags --libs goalloc-client) -o with_pkg_config
cmake -S consumer -B build
cmake --build build
