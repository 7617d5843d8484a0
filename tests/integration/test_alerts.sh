#!/usr/bin/env bash
# The alert rules for Prometheus: promtool reads them, each fires when it is to, and each metric is one that
# 'goallocctl serve' has. The page about them has the same expressions.
#
# usage: test_alerts.sh SOURCE_FOLDER BIN_FOLDER; ends with 77 where there is no promtool or no python3
set -euo pipefail
source=$1
bin=$2
for tool in promtool python3; do
    command -v $tool >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
folder=$(mktemp -d)
heap=test-$$-alerts
pids=()
# shellcheck disable=SC2317 # by the trap
clean_up() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$folder"
}
trap clean_up EXIT

cp "$source/client/ctl/alerts.yml" "$source/tests/integration/alerts_test.yml" "$folder"
promtool check rules "$folder/alerts.yml"
promtool test rules "$folder/alerts_test.yml"

"$bin/goallocd" --name "$heap" --socket "$folder/sock" --reserve 64M --ephemeral --log-level warning &
pids+=($!)
for ((i = 0; i < 600; i++)); do
    "$bin/goallocctl" --socket "$folder/sock" status >/dev/null 2>&1 && break
    sleep 0.1
done
"$bin/goallocctl" --socket "$folder/sock" serve --listen 127.0.0.1:0 >"$folder/out" 2>&1 &
pids+=($!)
for ((i = 0; i < 600; i++)); do
    url=$(grep -o 'http://[^ ]*' "$folder/out") && break
    sleep 0.1
done
python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' \
    "${url%/}/metrics" >"$folder/metrics"
failed=0
while read -r metric; do
    grep -q "^${metric}[ {]" "$folder/metrics" || { echo "there is no metric $metric"; failed=1; }
done < <(grep -o 'goalloc_[a-z_]*' "$folder/alerts.yml" | sort -u)
while read -r expression; do
    grep -qF ".It Ql $expression" "$source/client/man/goalloc-operations.7" ||
        { echo "goalloc-operations(7) does not have: $expression"; failed=1; }
done < <(sed -n 's/^ *expr: //p' "$folder/alerts.yml")
exit $failed
