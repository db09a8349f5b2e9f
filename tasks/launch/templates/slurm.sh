#!/bin/sh
#SBATCH --job-name={{ job_name }}
#SBATCH --output={{ log }}
#SBATCH --cpus-per-task={{ cores | 1 }}
#SBATCH --mem-per-cpu={{ memory | 4096 }}
#SBATCH --time={{ walltime | 24:00:00 }}
#SBATCH --signal=B:TERM@60
#SBATCH --no-requeue
# On exec the worker takes the place of the shell, so the signals of the scheduler
# reach it: it stops taking tasks, and gives back what it cannot finish.
exec {{ command }}
