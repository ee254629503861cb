# One image for gateway, worker and sink; the command chooses the role.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
# Without pip inside: the base image's own pip fills it.
RUN python -m venv --without-pip /opt/jetrun
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock ./
RUN pip --python /opt/jetrun/bin/python install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE nats.conf ./
COPY bridge bridge
COPY store store
COPY runs runs
COPY api api
RUN pip --python /opt/jetrun/bin/python install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin jetrun \
    && install -d -o jetrun -g jetrun /data
COPY --from=build /opt/jetrun /opt/jetrun
ENV PATH=/opt/jetrun/bin:$PATH PYTHONUNBUFFERED=1
USER jetrun
WORKDIR /data
EXPOSE 2024
# Of the gateway; roles without a port switch it off.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:2024/livez', timeout=4)"]
ENTRYPOINT ["jetrun"]
CMD ["--help"]
