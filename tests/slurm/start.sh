#!/usr/bin/env bash
# A real SLURM of one node on this machine, for tests. Root, and Debian's slurm-wlm and munge.
#   tests/slurm/start.sh FOLDER        starts it; state and logs in FOLDER; writes FOLDER/pids
#   tests/slurm/start.sh stop FOLDER   stops what was started
set -euo pipefail

if [ "$1" = stop ]; then
    xargs -r kill <"$2/pids" || true
    while read -r pid; do # slurmctld saves its state before it goes
        timeout 10 tail --pid="$pid" -f /dev/null || true
    done <"$2/pids"
    exit 0
fi

folder=$(mkdir -p "$1" && cd "$1" && pwd)
mkdir -p "$folder"/{state,spool,munge}
export SLURM_CONF="$folder/slurm.conf"
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
SlurmctldPort=${SLURM_TEST_PORT:-16817}
SlurmdPort=$((${SLURM_TEST_PORT:-16817} + 1))
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
SchedulerParameters=sched_interval=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=2000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF

dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chown -R munge "$folder/munge"
chmod 755 "$folder" "$folder/munge"
chmod 400 "$folder/munge/key"
su -s /bin/sh munge -c "munged --force --key-file=$folder/munge/key --socket=$folder/munge/socket \
    --pid-file=$folder/munge/pid --log-file=$folder/munge/log --seed-file=$folder/munge/seed"
slurmctld
slurmd
for _ in $(seq 60); do
    if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then
        cat "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid >"$folder/pids"
        exit 0
    fi
    sleep 0.5
done
tail -n 20 "$folder"/*.log >&2
exit 1
