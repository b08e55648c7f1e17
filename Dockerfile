# Two images: the last stage holds the program and nothing else; `--target ci` is
# for CI, where jobs need a shell, curl and jq.
#
#   docker build --tag setpoint .
#   docker build --tag setpoint:ci --target ci .
#
# The repository is not copied in; what `--version` says of the commit is given:
#
#   --build-arg SETPOINT_BUILD_COMMIT="$(git log -1 --format='%h %cs')"

FROM rust:1.95-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
 && rm -rf /var/lib/apt/lists/*
RUN rustup target add x86_64-unknown-linux-musl
WORKDIR /src
COPY . .
ARG SETPOINT_BUILD_COMMIT
RUN cargo build --release --locked --bin setpoint --target x86_64-unknown-linux-musl

FROM debian:bookworm-slim AS ci
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl jq \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/x86_64-unknown-linux-musl/release/setpoint /usr/local/bin/setpoint
USER 65532:65532

FROM scratch
# The public authorities; yours goes into `gitlab.ca_file`, or is mounted here.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/x86_64-unknown-linux-musl/release/setpoint /setpoint
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/setpoint"]
