#!/bin/sh
# Draw every secret of docker-compose.yml anew into a file that only its owner reads (by default .env).
# Compose hands each one, as a file, to the services that need it. Usage: docker/make-env.sh [FILE]
set -eu
file=${1:-.env}
if [ -e "$file" ]; then
    echo "$file exists already, and the data in the volumes goes with it; it was left as it is" >&2
    exit 1
fi
hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }
postgres=$(hex 24)
redis=$(hex 24)
umask 077
cat >"$file" <<END
# What is not secret: which Lit network (devnet's description, or a name such as datil-dev), and whether to run one.
LIT_NETWORK=/srv/public/network.json
COMPOSE_PROFILES=devnet
# Secrets.
POSTGRES_PASSWORD=$postgres
SQL_ALCHEMY_CONN=postgresql+psycopg2://airflow:$postgres@postgres:5432/airflow
REDIS_PASSWORD=$redis
CELERY_BROKER_URL=redis://:$redis@redis:6379/0
FERNET_KEY=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')
JWT_SECRET=$(hex 64)
API_SECRET_KEY=$(hex 32)
AIRFLOW_PASSWORDS={"admin": "$(hex 12)"}
OPENBAO_SEAL_KEY=$(hex 32)
WALLET_KEY=$(hex 32)
END
echo "$file is written; log in as admin with the password under AIRFLOW_PASSWORDS" >&2
