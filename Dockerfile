# One image, two commands: a vertex's processes (see compose.yaml), or the relay.
FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements.lock .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.12-slim
RUN useradd --system --uid 10001 --user-group --home-dir /nonexistent vertex \
    && install -d -o vertex -g vertex -m 0700 /keystore
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    VERTEX_STATIC_ROOT=/app/staticfiles
RUN DATABASE_URL=postgresql://build@localhost/build REDIS_URL=redis://localhost VERTEX_SECRET_KEY=build \
    python manage.py collectstatic --no-input
USER vertex
EXPOSE 8000 8900
CMD ["gunicorn", "vertex.wsgi", "--config", "python:vertex.serving", "--bind", "0.0.0.0:8000", \
     "--worker-class", "gthread", "--workers", "1", "--threads", "64", "--keep-alive", "75", \
     "--timeout", "120", "--no-control-socket", "--worker-tmp-dir", "/dev/shm"]
