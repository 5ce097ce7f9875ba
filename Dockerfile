# One image for all processes of the console; docker-compose.yml has each one's command.

# --- Front-end files: fetched as locked, served unchanged ---------------------------
FROM node:22-bookworm-slim AS front_end
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# --- Python packages: each file checked against its pinned hash ------------------------------
FROM python:3.11-slim-bookworm AS python_packages
RUN python -m venv /opt/kmes
COPY requirements/base.txt /tmp/base.txt
RUN /opt/kmes/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement /tmp/base.txt

# --- The image itself ------------------------------------------------------------------------
FROM python:3.11-slim-bookworm
# softhsm2: the software device; a real HSM's library is mounted and named in KMES_HSM_MODULE.
RUN apt-get update \
    && apt-get install -y --no-install-recommends softhsm2 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 kmes \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kmes \
    # A volume takes owner and mode from the folder it is first mounted on.
    && install -d -m 0700 -o kmes -g kmes \
        /var/lib/kmes /var/lib/kmes/first-passwords /run/kmes-front /run/kmes-certificate /run/kmes-database \
        /run/kmes-database-passwords/web /run/kmes-database-passwords/worker /run/kmes-database-passwords/reports \
        /run/kmes-database-passwords/owner /var/lib/kmes/exports /var/lib/kmes/hsm /var/lib/kmes/pinned \
        /var/lib/kmes/azure_emulator /run/kmes-secrets \
    && install -d -m 0700 -o kmes -g kmes /run/kmes-redis /run/kmes-redis-passwords/web \
        /run/kmes-redis-passwords/worker /run/kmes-redis-passwords/beat /run/kmes-redis-passwords/reports \
        /run/kmes-request-keys/web /run/kmes-request-keys/worker /run/kmes-second-factor \
    && install -d -m 0755 -o kmes -g kmes /run/kmes-database-secret /run/kmes-redis-accounts /run/kmes-request-signers

WORKDIR /app
COPY --from=python_packages /opt/kmes /opt/kmes
COPY --from=front_end /build/node_modules ./node_modules
COPY manage.py pyproject.toml ./
COPY requirements/base.txt ./requirements/base.txt
COPY kmes ./kmes
COPY keygroups ./keygroups
COPY cloudcreds ./cloudcreds
COPY jobs ./jobs
COPY logging_reports ./logging_reports
COPY hsm ./hsm
COPY azure_emulator ./azure_emulator
COPY templates ./templates

ENV PATH=/opt/kmes/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=kmes.settings \
    KMES_STATE_DIR=/var/lib/kmes \
    KMES_STATIC_ROOT=/app/staticfiles

# A temporary state folder: the key that the settings make there must not be in the image.
RUN python -m compileall -q kmes keygroups cloudcreds jobs logging_reports hsm azure_emulator \
    && KMES_STATE_DIR=/tmp/build KMES_INSECURE_HTTP=1 python manage.py collectstatic --noinput --verbosity 0 \
    && rm -rf /tmp/build

USER kmes
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "kmes.supervision.container", "health", "web"]
CMD ["gunicorn", "kmes.wsgi", "--bind", "0.0.0.0:8000", "--preload", "--worker-class", "kmes.web_server.BufferedWorker", \
     "--workers", "2", "--threads", "4", "--timeout", "60", "--graceful-timeout", "10", \
     "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
