#!/bin/sh
#PBS -N {{ job_name }}
#PBS -j oe
#PBS -o {{ log }}
#PBS -l select=1:ncpus={{ cores | 1 }}:mem={{ memory | 4096 }}mb
#PBS -l walltime={{ walltime | 24:00:00 }}
#PBS -r n
cd "$PBS_O_WORKDIR" || exit 1
exec {{ command }}
