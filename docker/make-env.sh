#!/bin/sh
# Write random values for all secrets of docker-compose.yml to a file that only its owner can read (default: .env).
# Compose passes each secret, as a file, to the services that need it. Usage: docker/make-env.sh [FILE]
set -eu
file=${1:-.env}
if [ -e "$file" ]; then
    echo "$file exists and was not changed: the data in the volumes depends on its secrets" >&2
    exit 1
fi
hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }
postgres=$(hex 24)
redis=$(hex 24)
umask 077
cat >"$file" <<END
# The Lit network (a description file or a name such as datil-dev), and which local one to run: devnet (Datil) or
# chipotle. Not secret.
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
echo "$file was written; log in to Airflow as admin with the password in AIRFLOW_PASSWORDS" >&2
