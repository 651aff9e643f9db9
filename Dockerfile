# One image for Airflow's services, the local Lit network and the one-shots of docker-compose.yml.
ARG PYTHON=3.12.12-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
# What is installed has its version and its hash from constraints.txt, tools and build back end included.
RUN python -m venv /uv \
    && sed -n '/^uv==/,/# via/p' constraints.txt >uv.txt \
    && /uv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement uv.txt \
    && /uv/bin/uv venv /opt/lit
# The dependencies first: the layer stays while only the code changes.
RUN /uv/bin/uv pip install --python /opt/lit --compile-bytecode --constraints constraints.txt \
    --requirements pyproject.toml --extra celery --extra devnet
COPY lit_airflow lit_airflow
COPY dags dags
RUN /uv/bin/uv pip install --python /opt/lit --compile-bytecode --no-deps --build-constraints constraints.txt .

FROM python:${PYTHON}
# Folders that volumes are mounted on: a new volume takes owner and mode from them.
RUN useradd --uid 50000 --gid 0 --home-dir /srv/airflow --no-create-home airflow \
    && cd /srv && mkdir -p airflow/dags airflow/logs chipotle public plaintext handover recovery \
    && chown -R 50000:0 /srv && chmod -R 0770 /srv/*
COPY --from=build /opt/lit /opt/lit
ENV PATH=/opt/lit/bin:$PATH AIRFLOW_HOME=/srv/airflow PYTHONUNBUFFERED=1
WORKDIR /srv/airflow
USER 50000:0
CMD ["lit-airflow", "--help"]
