#!/bin/bash
# Run by systemd in a root where the packages are installed: what an administrator does with them.
# The last line it prints is "all is well".
set -eE
trap 'echo "FAILED at line $LINENO"; systemctl --no-pager -l status goallocd.service goallocd.socket; journalctl --no-pager -n 40' ERR
cd /goalloc
export GOALLOC_SOCKET=/run/goalloc/goalloc.sock

is() { # STATE UNIT
    [ "$(systemctl is-active "$2" || true)" = "$1" ]
}

# The socket is there, the server comes with its first client.
is active goallocd.socket
is inactive goallocd.service
useradd --groups goalloc member
useradd stranger
runuser -u member -- ./with_pkg_config text
is active goallocd.service
runuser -u member -- build/with_client text
if runuser -u stranger -- ./with_pkg_config text 2>said; then false; fi
grep -q 'ermission denied' said

# An upgrade puts another server in place of the one that runs, and the heap is as it was.
runuser -u member -- build/with_client_static kept
pid=$(systemctl show -P MainPID goallocd.service)
dpkg -i goalloc_*.deb
[ "$(systemctl show -P MainPID goallocd.service)" != "$pid" ]
runuser -u member -- build/with_client kept
runuser -u member -- build/with_client kept

# Removed: the service ends, the options and a heap with objects stay.
dpkg -r goalloc
is inactive goallocd.service
[ ! -e /run/goalloc ]
[ -e /dev/shm/goalloc.default.heap ]
[ -e /etc/goalloc/goallocd.conf ]
dpkg -i goalloc_*.deb
runuser -u member -- build/with_client kept

# Purged with an empty heap: nothing stays.
dpkg -P goalloc
dpkg -P python3-goalloc libgoalloc-dev libgoalloc-client0
[ -z "$(ls /dev/shm)" ]
left=$(find / -xdev \( -path /goalloc -o -path /proc -o -path /sys \) -prune -o -name '*goalloc*' -print |
    grep -v -e '^/etc/systemd/system/goalloc-test' -e '^/var/log/' || true)
echo "left: $left"
[ -z "$left" ]

# Purged while it has objects: it stays, and purge says where.
dpkg -i ./*.deb
runuser -u member -- ./with_pkg_config kept
dpkg -P goalloc 2>said
cat said
grep -q '/dev/shm/goalloc.default.meta' said
[ -e /dev/shm/goalloc.default.heap ]
echo "all is well"
