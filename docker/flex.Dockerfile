# The image of a Dataflow Flex Template: the workers' image with Google's launcher, which runs flex.py.
#
#   docker build -f docker/flex.Dockerfile --build-arg WORKER=REGISTRY/c4build-worker -t REGISTRY/c4build-flex .
ARG WORKER
ARG PYTHON_VERSION=311
FROM gcr.io/dataflow-templates-base/python${PYTHON_VERSION}-template-launcher-base AS launcher

FROM ${WORKER}
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
COPY docker/flex.py /template/
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/template/flex.py
ENTRYPOINT ["/opt/google/dataflow/python_template_launcher"]
