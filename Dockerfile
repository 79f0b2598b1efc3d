# One image for the three processes of renderhub. Each takes its settings from the environment (.env.example lists
# them; with DEBUG=0 start-up names what is missing). The command chooses:
#
#   the API, the admin, the pages   the default command below
#   the sockets                     granian --interface asgi renderhub.asgi:application
#   the sweeper                     python manage.py run_sweeper          (docker run --no-healthcheck)
#
# Before a version goes into service, once:   python manage.py migrate
#
# GRANIAN_WORKERS is the number of processes of a container; more than one want REDIS_URL. The API's run eight threads
# each, so that one container holds eight database connections for each of them. (No GRANIAN_BLOCKING_THREADS: it would
# keep the sockets from starting.) SIGTERM ends granian and the sweeper gracefully.
#
# It speaks HTTP/1.1 alone, as load balancers do to what is behind them: over HTTP/2 a body can come without its
# length, and Django REST framework takes such a one for empty.
#
# Health: load balancers ask /healthz (is it alive?) and /readyz (is its database there?) by the container's own
# address. Both answer before ALLOWED_HOSTS is looked at, so that no address has to be added to it.

FROM python:3.12-slim-bookworm AS packages
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.12-slim-bookworm
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0 \
    GRANIAN_HOST=0.0.0.0 \
    GRANIAN_PORT=8000 \
    GRANIAN_HTTP=1 \
    GRANIAN_WORKERS=2
RUN useradd --system --uid 10001 --no-create-home renderhub
WORKDIR /app
COPY --from=packages /venv /venv
COPY . .
# Production's static files have their content's hash in their names, which the manifest made here tells. The
# settings want all that production needs; none of these values outlives this line.
RUN SECRET_KEY=build WEBHOOK_SECRETS=build API_BASE_URL=https://build.invalid \
    REMOTION_SQS_QUEUE_URL=build REMOTION_SQS_DLQ_URL=build REMOTION_BUCKET=build \
    REMOTION_SERVE_URL=https://build.invalid/index.html EMAIL_URL=console: \
    python manage.py collectstatic --noinput
USER renderhub
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; \
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['GRANIAN_PORT']), timeout=3); \
connection.request('GET', '/healthz'); \
sys.exit(connection.getresponse().status != 200)"]
CMD ["granian", "--interface", "wsgi", "--blocking-threads", "8", "renderhub.wsgi:application"]
