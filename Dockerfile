# docker build --tag ckfunc .
# docker run --rm --volume "$PWD:/project" --env CHATKITTY_CLIENT_ID --env CHATKITTY_CLIENT_SECRET ckfunc diff --target production
FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements/run.txt requirements/
RUN python -m venv /opt/ckfunc \
    && /opt/ckfunc/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY ckfunc ckfunc
COPY templates templates
RUN /opt/ckfunc/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/ckfunc /opt/ckfunc
RUN useradd --create-home --uid 1000 ckfunc && install --directory --owner ckfunc /project
ENV PATH=/opt/ckfunc/bin:$PATH
USER 1000
WORKDIR /project
# Fills the cache: the TypeScript compiler, esbuild and the packages of the platform.
RUN ckfunc init /tmp/first && ckfunc -C /tmp/first check && ckfunc -C /tmp/first test && rm -r /tmp/first
ENTRYPOINT ["ckfunc"]
CMD ["--help"]
