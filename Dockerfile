# Two images: the container of one model, and the platform's one binary for router and host.
#
#   docker build --target model-container --tag gatehouse/model-container .
#   docker build --target gatehouse --tag gatehouse/gatehouse .
#
#   docker run --read-only --publish 8080:8080 \
#       --volume "$PWD/examples/models/spam:/opt/ml/model:ro" gatehouse/model-container
#
# A worker's language isn't inside. A model that needs one has an image of its own, for example:
#
#   FROM gatehouse/model-container
#   USER root
#   RUN apt-get update && apt-get install --yes --no-install-recommends python3 \
#       && rm -rf /var/lib/apt/lists/*
#   USER 65532:65532
#
# or the binary goes into an image that has the language:
#
#   COPY --from=gatehouse/model-container /usr/local/bin/model-container /usr/local/bin/
#   ENTRYPOINT ["/usr/local/bin/model-container"]

# The compiler is the one of rust-toolchain.toml. In the images nothing is run, only files are
# copied, so RUNTIME_IMAGE may be any with a glibc and libstdc++ of Debian 12 or later.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim


# ONNX Runtime out of its wheel, and the locale without which its StringNormalizer doesn't load.
FROM ${RUST_IMAGE} AS libraries
ARG ONNXRUNTIME="onnxruntime==1.31.1 \
    --hash=sha256:74a6a52994616c4d18b33db1e13c226333a70a6ba07480a5cab9c2a50dff1430 \
    --hash=sha256:dcaedc50333876f3829ab966b242147f0e548229e29c36fe44622ecf748c25ee"
RUN apt-get update && apt-get install --yes --no-install-recommends locales python3-pip
RUN mkdir -p /image/usr/lib/locale \
    && localedef --no-archive -i en_US -f UTF-8 /image/usr/lib/locale/en_US.utf8
RUN echo "${ONNXRUNTIME}" > /tmp/pin \
    && python3 -m pip download --no-deps --only-binary=:all: --require-hashes --requirement /tmp/pin \
        --python-version 3.13 --platform "manylinux_2_28_$(uname -m)" --dest /tmp/wheel \
    && python3 -m zipfile -e /tmp/wheel/*.whl /tmp/wheel \
    && cd /tmp/wheel/onnxruntime \
    && install -D -m 644 capi/libonnxruntime.so.* /image/usr/local/lib/libonnxruntime.so \
    && install -D -m 644 -t /image/usr/local/share/doc/onnxruntime LICENSE ThirdPartyNotices.txt


# Registry and build output outlive a build, so the next one compiles no dependency again. What
# another checkout left there may be newer than a source here, hence the `touch`.
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
ENV CARGO_TARGET_DIR=/target


FROM build AS build-model-container
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target,sharing=locked \
    find . -type f -exec touch {} + \
    && cargo build --locked --release --package model-container \
    && install -D -t /image/usr/local/bin /target/release/model-container


FROM build AS build-gatehouse
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target,sharing=locked \
    find . -type f -exec touch {} + \
    && cargo build --locked --release --package gatehouse \
    && install -D -t /image/usr/local/bin /target/release/gatehouse \
    && install -d -m 775 /data/gatehouse


FROM ${RUNTIME_IMAGE} AS runtime
COPY --from=libraries /image/ /
COPY --from=libraries /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY LICENSE /usr/local/share/doc/gatehouse/
ENV LANG=en_US.UTF-8
# A number, so that Kubernetes can see that it isn't root. Any other works as well.
USER 65532:65532


# Options and decisions are in the volume. Its group is root's, as any user's is in OpenShift.
FROM runtime AS gatehouse
COPY --from=build-gatehouse /image/ /
COPY --from=build-gatehouse --chown=65532:0 /data/ /var/lib/
WORKDIR /var/lib/gatehouse
VOLUME /var/lib/gatehouse
ENTRYPOINT ["/usr/local/bin/gatehouse"]
CMD ["--help"]


# SageMaker starts it as `docker run IMAGE serve`, and tells a port only to images with the label.
FROM runtime AS model-container
COPY --from=build-model-container /image/ /
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/model-container"]
CMD ["serve"]
