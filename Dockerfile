# One image for each server, of the repository's root:
#
#     docker build --build-arg SERVER=sqlite --tag mcp-server-sqlite .
#     docker run --rm --interactive --volume "$PWD:/data:ro" mcp-server-sqlite --db-path /data/x.db
#
# SERVER is a folder of servers/; PACKAGE and COMMAND name something else of the workspace, SYSTEM Debian packages that
# it needs (git for git), EXTRA one of the package's extras (redis for everything). What is installed are the versions of uv.lock. Nothing is written below /app when it runs.
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/app \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir "uv>=0.8,<0.14"
WORKDIR /src
COPY . .
ARG SERVER=everything
ARG PACKAGE=mcp-server-${SERVER}
ARG COMMAND=${PACKAGE}
ARG EXTRA=
RUN uv sync --locked --no-dev --no-editable --package ${PACKAGE} ${EXTRA:+--extra ${EXTRA}} \
 && ln -s ${COMMAND} /app/bin/serve

FROM python:${PYTHON}
ARG SERVER=everything
ARG SYSTEM=
LABEL io.modelcontextprotocol.server.name="io.github.mcp-reference-servers/${SERVER}"
RUN if [ -n "${SYSTEM}" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends ${SYSTEM} && rm -rf /var/lib/apt/lists/*; \
    fi \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp served \
 && install --directory --owner served --group served /data /demo
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["serve"]
