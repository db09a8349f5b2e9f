#!/bin/sh
#$ -N {{ job_name }}
#$ -S /bin/sh
#$ -cwd
#$ -j y
#$ -o {{ log }}
#$ -pe {{ parallel_environment | smp }} {{ cores | 1 }}
#$ -l h_rt={{ walltime | 24:00:00 }}
#$ -l m_mem_free={{ memory | 4096 }}M
#$ -notify
# -notify sends SIGUSR2 a minute before the end; the worker takes it as SIGTERM.
exec {{ command }}
